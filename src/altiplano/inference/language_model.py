"""A model ready to speak: weights, tokenizer, and the temperature it was calibrated to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from altiplano.errors import InputError
from altiplano.model.llama import Llama
from altiplano.model.weights import load_model
from altiplano.storage import Damaged, read_json
from altiplano.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class LanguageModel:
    name: str
    model: Llama
    tokenizer: Tokenizer
    context: int
    """Tokens that prompt and completion may have together."""
    temperature: float = 1.0
    """For requests that name none."""

    def prompt(self, text: str) -> list[int]:
        """Tokens of a prompt given as text: the beginning of a document."""
        return [self.tokenizer.bos, *self.tokenizer.encode(text)]


def load_language_model(
    folder: Path, dtype: torch.dtype = torch.float32, tokenizer: Path | None = None
) -> LanguageModel:
    """Load a release folder. Raises InputError when it is none. ``tokenizer``: a folder that has its tokenizer.json.

    ``generation_config.json`` rules the default temperature; ``calibration.json`` does where that file names none.
    """
    model = load_model(folder, dtype)
    if not ((tokenizer or folder) / "tokenizer.json").exists():
        raise InputError(f"{folder} has no tokenizer.json: point to a release folder, such as runs/NAME/release")
    calibration = _read(folder / "calibration.json")
    fitted = float(calibration["temperature"]) if calibration else 1.0
    generation = _read(folder / "generation_config.json") or {}
    temperature = float(generation.get("temperature", fitted)) if generation.get("do_sample", True) else 0.0
    context = int((_read(folder / "config.json") or {}).get("max_position_embeddings", 8192))
    resolved = folder.resolve()
    name = resolved.parent.name if resolved.name == "release" else resolved.name
    return LanguageModel(name, model, Tokenizer.load(tokenizer or folder), context, temperature)


def _read(file: Path) -> dict[str, Any] | None:
    """A JSON object; None when there is no such file."""
    if not file.exists():
        return None
    try:
        value = read_json(file)
    except Damaged as error:
        raise InputError(f"{file} is not JSON ({error}); release the model again") from error
    if not isinstance(value, dict):
        raise InputError(f"{file} is not a JSON object; release the model again")
    return value
