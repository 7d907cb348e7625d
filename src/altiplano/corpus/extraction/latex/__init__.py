"""LaTeX, read as TeX reads it."""
