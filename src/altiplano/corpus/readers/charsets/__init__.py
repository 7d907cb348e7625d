"""Bytes to text: by the WHATWG Encoding standard, by declaration, or by a guess."""
