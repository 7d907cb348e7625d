"""From a checkpoint to weights under Hugging Face's names."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from altiplano.errors import Fault
from altiplano.model.llama import Llama
from altiplano.model.weights import hugging_face_config, stream_weights
from altiplano.recipe.schema import Recipe
from altiplano.storage import Damaged, write_json
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints.checkpoint import load_weights, read_manifest


def export_weights(
    checkpoint: Path,
    step: int,
    recipe: Recipe,
    tokenizer: Tokenizer,
    folder: Path,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Write safetensors and ``config.json``, one file of weights in memory at a time; the bytes depend on the weights
    alone. ``progress`` is called before each file. Raises Fault unless the checkpoint is of ``step``."""
    try:
        found = read_manifest(checkpoint).step
    except (OSError, Damaged) as error:
        raise Fault(f"the weights of step {step:,} cannot be written: {checkpoint.name}: {error}") from error
    if found != step:
        raise Fault(f"the weights of step {step:,} cannot be written: {checkpoint} is of step {found:,}")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Llama(recipe.model).named_parameters()}
    trained = torch.float64 if recipe.precision.compute == "float64" else torch.float32

    def load(names: list[str]) -> dict[str, Tensor]:
        progress()
        weights = load_weights(checkpoint, {name: shapes[name] for name in names}, trained)
        return {name: value.float() for name, value in weights.items()}

    folder.mkdir(exist_ok=True)
    stream_weights({name: (shape, torch.float32) for name, shape in shapes.items()}, load, folder)
    config = hugging_face_config(recipe.model, recipe.batch.sequence_length, bos=tokenizer.bos, eos=tokenizer.eos)
    write_json(folder / "config.json", config, indent=2)
