"""The models and batches of the benchmarks: Llama shapes, random tokens."""

import time

import torch

from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.tokens.loader import Batch, make_batch

# layers, width, heads, num_key_value_heads, intermediate_size, vocabulary
SIZES = {
    "tiny": (2, 128, 4, 2, 352, 1024),
    "deep": (62, 256, 4, 2, 704, 1024),
    "40M": (8, 512, 8, 4, 1408, 16_384),
    "120M": (12, 768, 12, 4, 2048, 32_768),
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
BATCHES = 4
DOCUMENT_TOKENS = 400
BEGIN = 0


def benchmark_recipe(size: str, sequence: int, rows: int) -> Recipe:
    keys = (
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "vocab_size",
    )
    shape = [f"model.{key}={value}" for key, value in zip(keys, SIZES[size], strict=True)]
    batch = [
        f"batch.sequence_length={sequence}",
        f"batch.tokens={sequence * rows}",
        f"batch.total_tokens={1000 * sequence * rows}",
    ]
    rest = ["optimizer.learning_rate=3e-4", "optimizer.warmup_steps=0", "precision.compute=bfloat16"]
    return load_recipe("quickstart", [*shape, *batch, *rest])


def random_batch(recipe: Recipe, number: int, documents: bool) -> Batch:
    """The same tokens with and without documents, but for those that begin one; lengths geometric, 400 on average."""
    generator = torch.Generator().manual_seed(number)
    size = (recipe.batch.sequences, recipe.batch.sequence_length + 1)
    windows = torch.randint(BEGIN + 1, recipe.model.vocab_size, size, generator=generator)
    if documents:
        windows[torch.rand(size, generator=generator) < 1 / DOCUMENT_TOKENS] = BEGIN
    return make_batch(windows.numpy(), BEGIN)
