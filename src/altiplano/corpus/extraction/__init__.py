"""Markup to text: one file per kind of markup."""
