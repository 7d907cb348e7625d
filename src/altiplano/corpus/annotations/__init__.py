"""Columns that describe a document; ``filters/`` drops documents by them."""
