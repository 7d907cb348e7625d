"""Readers of raw files: one file for each format, from bytes to raw documents."""
