"""From a checkpoint to weights under Hugging Face's names."""

import json
from pathlib import Path

import torch

from altiplano.model.llama import Llama
from altiplano.model.weights import hugging_face_config, save_weights
from altiplano.recipe.schema import Recipe
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoint import load_weights


def export_weights(checkpoint: Path, recipe: Recipe, tokenizer: Tokenizer, folder: Path) -> None:
    """Write safetensors and ``config.json``; the bytes depend on the weights alone."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Llama(recipe.model).named_parameters()}
    dtype = torch.float64 if recipe.precision.compute == "float64" else torch.float32
    weights = load_weights(checkpoint, shapes, dtype)
    folder.mkdir(exist_ok=True)
    save_weights([(name, value.float()) for name, value in weights.items()], folder)
    config = hugging_face_config(recipe.model, recipe.batch.sequence_length, bos=tokenizer.bos, eos=tokenizer.eos)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
