"""The model that a command names: loaded here, or, of a checkpoint with ``--layout``, over ranks that this starts.

``python -m altiplano.cli.asked_model RANKS PARENT ARGUMENT…`` runs the command on so many processes of this machine.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from altiplano.errors import InputError
from altiplano.inference.language_model import LanguageModel, load_language_model, model_fingerprint
from altiplano.parallel.processes import die_with_parent, fork_until_stopped
from altiplano.recipe.layout import Layout, check_layout, parse_layout
from altiplano.training.checkpoints.checkpoint import MANIFEST, NAME


def ranks_to_start(options: argparse.Namespace) -> int:
    """How many ranks the command needs and has not got; 0: none but this process. Raises InputError when what it names
    is no checkpoint for ranks."""
    count = _layout(options).world_size
    if count > 1 and not NAME.fullmatch(Path(options.recipe).name):
        raise InputError(
            f"--layout {options.layout}: ranks read a checkpoint and {options.recipe} is none; name one, such as "
            "runs/quickstart/train/checkpoints/step-00000300"
        )
    return count if count > 1 and "RANK" not in os.environ else 0


def on_ranks(count: int, options: argparse.Namespace) -> int:
    """The command's exit status, after running it on ``count`` processes."""
    command = [sys.executable, "-m", "altiplano.cli.asked_model", str(count), str(os.getpid()), *options.arguments]
    return subprocess.run(command, check=False).returncode


@contextmanager
def asked_model(
    options: argparse.Namespace, device: str = "", precision: str = "float32"
) -> Iterator[tuple[LanguageModel, str] | None]:
    """The model in ``options.recipe`` and a hash of its weights; None on ranks that follow the first, and followed it.

    Over ranks ``precision`` is the recipe's.
    """
    import torch

    from altiplano.inference.device import choose_device
    from altiplano.recipe.load import load_recipe
    from altiplano.release.convert import as_model_folder, recipe_of, run_of
    from altiplano.storage import digest
    from altiplano.tokens.tokenizer import Tokenizer
    from altiplano.training.scoring import over_mesh

    place, layout = Path(options.recipe), _layout(options)
    if layout.world_size == 1:
        with as_model_folder(place) as folder:
            local = load_language_model(folder, getattr(torch, precision)).to(choose_device(device))
            fingerprint = model_fingerprint(folder)
        yield local, fingerprint
        return
    run = run_of(place)
    recipe = recipe_of(load_recipe(str(run / "recipe.toml"), []), run, place)
    recipe = recipe.model_copy(update={"name": f"{run.name}-{place.name}"})
    check_layout(layout, recipe)
    tokenizer = Tokenizer.load(run / "tokenize" / "tokenizer")
    with over_mesh(recipe, layout, choose_device(device).type, [place], tokenizer) as served:
        yield (served, digest(place / MANIFEST)) if served is not None else None


def _layout(options: argparse.Namespace) -> Layout:
    return parse_layout(options.layout) if options.layout not in (None, "auto") else Layout()


def main() -> int:
    from altiplano.cli import run

    count, parent, *arguments = sys.argv[1:]
    die_with_parent(int(parent))
    return fork_until_stopped(int(count), partial(run, arguments))


if __name__ == "__main__":
    sys.exit(main())
