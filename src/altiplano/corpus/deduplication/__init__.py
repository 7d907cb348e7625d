"""Duplicates: the same text, and nearly the same text."""
