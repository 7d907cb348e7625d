"""Filters by language, by heuristics, and by functions of the caller."""
