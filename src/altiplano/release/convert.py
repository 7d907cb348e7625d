"""A checkpoint of a run, at work or finished, as a Hugging Face folder: without calibration, red-teaming or a card."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from altiplano.errors import InputError
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import trainings
from altiplano.release.model_folder import write_tokenizer
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints import checkpoint
from altiplano.training.checkpoints.export import export_weights
from altiplano.training.checkpoints.inspection import find


@contextmanager
def as_model_folder(place: Path) -> Iterator[Path]:
    """``place``; where that is a checkpoint of a run, the model folder that it would be converted to, for so long.

    It is written to the folder for temporary files, and read by this process alone.
    """
    if not (checkpoint.NAME.fullmatch(place.name) and (place / checkpoint.MANIFEST).exists()):
        yield place
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / f"{run_of(place).name}-{place.name}"
        convert(place, folder)
        yield folder


def run_of(folder: Path) -> Path:
    """The run that a checkpoint is in. Raises InputError when it is in none."""
    for parent in folder.resolve().parents:
        if (parent / "recipe.toml").exists() and (parent / "tokenize" / "tokenizer").is_dir():
            return parent
    raise InputError(f"{folder} is not in a run's folder, with its recipe.toml and tokenize/: its shape is not known")


def recipe_of(recipe: Recipe, run: Path, place: Path) -> Recipe:
    """The recipe of the training that a checkpoint in the run is of."""
    return trainings(recipe)[_number(recipe, run, place)].recipe


def _number(recipe: Recipe, run: Path, place: Path) -> int:
    """Of the training that a checkpoint is of, in order; one that lies elsewhere in the run is the first's."""
    first, *rest = place.resolve().relative_to(run.resolve()).parts
    known = {one.stage: number for number, one in enumerate(trainings(recipe))}
    return known.get(rest[0].rpartition("-")[0] if first == ".work" else first, 0)


def convert(place: Path, out: Path) -> str:
    """Write the weights of a checkpoint, of a run the newest, as a Hugging Face folder with its tokenizer.

    Returns what was done. Raises InputError when ``out`` exists or the checkpoint is damaged.
    """
    if out.exists():
        raise InputError(f"{out} is there already: give a new folder")
    found = find(place)
    run = run_of(found[0])
    recipe = load_recipe(str(run / "recipe.toml"), [])
    folder = max(found, key=lambda one: (_number(recipe, run, one), checkpoint.step_of(one)))
    condition = checkpoint.check(folder)
    if condition.problem:
        raise InputError(f"{folder} is {condition}; altiplano checkpoint verify shows which are sound")
    recipe = recipe_of(recipe, run, folder)
    out.mkdir(parents=True)
    tokenizer = Tokenizer.load(run / "tokenize" / "tokenizer")
    export_weights({checkpoint.step_of(folder): folder}, recipe, tokenizer, out)
    write_tokenizer(tokenizer, recipe.batch.sequence_length, out)
    return f"step {checkpoint.step_of(folder):,} of {recipe.name} is in {out}"
