"""Exact and near duplicates, repeated lines and repeated substrings."""
