"""Training jobs in processes of their own, as the train stage starts them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.training.job import Job


def start(
    folder: Path,
    tokens: Path,
    layout: str | Layout,
    overrides: list[str] | Recipe,
    stop_after: int | None = None,
    begin: Path | None = None,
) -> subprocess.Popen[str]:
    """``begin``: a checkpoint of another training to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(
        recipe=overrides if isinstance(overrides, Recipe) else load_recipe("quickstart", overrides),
        start=begin,
        layout=layout if isinstance(layout, Layout) else parse_layout(layout),
        device="cpu",
        tokens=tokens,
        folder=folder,
        stop_after=stop_after,
    )
    (folder / "job.json").write_text(job.model_dump_json())
    command = [sys.executable, "-m", "altiplano.training.supervisor", str(folder / "job.json")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(
    folder: Path,
    tokens: Path,
    layout: str | Layout,
    overrides: list[str] | Recipe,
    stop_after: int | None = None,
    begin: Path | None = None,
) -> None:
    process = start(folder, tokens, layout, overrides, stop_after, begin)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "weights" / "model.safetensors")


def relative(a: float, b: float) -> float:
    return abs(a - b) / abs(b)
