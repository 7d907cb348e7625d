"""Overrides of the quickstart recipe: ten steps of a model that trains in a second."""

SMALL = [
    "model.width=64",
    "model.ffn_width=160",
    "model.vocabulary=768",
    "batch.sequence_length=64",
    "batch.tokens=1024",
    "batch.total_tokens=10240",
    "optimizer.warmup_steps=2",
    "precision.compute=float32",
    "evaluation.interval_steps=5",
    "checkpoint.interval_steps=5",
]
