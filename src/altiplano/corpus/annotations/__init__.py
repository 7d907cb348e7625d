"""Columns added to a document. They describe; ``decisions.py`` decides."""
