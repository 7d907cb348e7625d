"""Altiplano: from raw text to a released Llama-class base model, by one recipe, on a laptop or on 2,048 GPUs."""

__version__ = "0.1.0"
