"""Training jobs under their supervisor, in processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forked import Forked
from safetensors.torch import load_file
from torch import Tensor

from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.training.job import Job

FAULTY = Path(__file__).parent / "faults" / "faulty.py"


def write_job(
    folder: Path,
    tokens: Path,
    layout: str | Layout,
    recipe: list[str] | Recipe,
    device: str = "cpu",
    **changes: Any,
) -> Path:
    """``recipe``: overrides of the quickstart's, or a whole one; ``changes`` are the job's."""
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(
        recipe=recipe if isinstance(recipe, Recipe) else load_recipe("quickstart", recipe),
        layout=layout if isinstance(layout, Layout) else parse_layout(layout),
        device=device,
        tokens=tokens,
        folder=folder,
        **{"begun": time.time()} | changes,
    )
    file = folder / "job.json"
    file.write_text(job.model_dump_json())
    return file


def start(
    folder: Path,
    tokens: Path,
    layout: str | Layout,
    recipe: list[str] | Recipe,
    faults: Sequence[dict[str, Any]] = (),
    before: Sequence[str] = (),
    fresh: bool = False,
    **changes: Any,
) -> Any:
    """A supervised job, with faults when there are any. It is forked (forked.py) unless it shall be ``fresh``, words
    precede its command (``before``) or it has a GPU."""
    module, arguments = "altiplano.training.supervisor", [str(write_job(folder, tokens, layout, recipe, **changes))]
    if faults:
        (folder / "faults.json").write_text(json.dumps(faults))
        module, arguments = "faults.faulty", [*arguments, str(folder / "faults.json")]
    if not (fresh or before or changes.get("device", "cpu") != "cpu"):
        return Forked(module, arguments, folder / "output.txt")
    program = [str(FAULTY)] if faults else ["-m", module]
    command = [*before, sys.executable, *program, *arguments]
    outputs: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, **outputs, text=True, env=environment, start_new_session=True)


def run(folder: Path, tokens: Path, layout: str | Layout, recipe: list[str] | Recipe, **changes: Any) -> None:
    process = start(folder, tokens, layout, recipe, **changes)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "weights" / "model.safetensors")


def relative(a: float, b: float) -> float:
    return abs(a - b) / abs(b)
