"""Web pages: the main text, with code, formulas and tables as they are."""
