"""Readers, one for each format of raw files."""
