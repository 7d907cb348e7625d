"""Llama in plain single-device PyTorch."""
