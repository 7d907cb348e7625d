"""Tokenizer training and encoding, token shards, and the loader that reads them."""
