"""Looking at checkpoints from outside a run: list them, verify every byte, turn one into a Hugging Face folder."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.recipe.load import load_recipe
from altiplano.recipe.units import human
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training import checkpoint
from altiplano.training.export import export_weights


def find(place: Path) -> list[Path]:
    """Checkpoints, oldest first: ``place`` itself, or those of the run (finished or at work) whose folder it is.

    Raises InputError when there are none.
    """
    if place.name.startswith("step-") and place.is_dir():
        return [place]
    folders = [place, place / "checkpoints", place / "train" / "checkpoints"]
    folders += sorted(place.glob(".work/train-*/checkpoints"))
    found = [saved for folder in folders for saved in reversed(checkpoint.saved(folder))]
    if not found:
        raise InputError(f"{place} has no checkpoints: give a run's folder, or one named step-…")
    return found


def describe(place: Path, *, verify: bool) -> list[dict[str, Any]]:
    """What each checkpoint's manifest says; with ``verify`` also what is wrong with its bytes ("": nothing)."""
    rows = []
    for folder in find(place):
        row: dict[str, Any] = {"path": str(folder), "step": checkpoint.step_of(folder)}
        row["bytes"] = sum(file.stat().st_size for file in folder.iterdir())
        try:
            manifest = checkpoint.read_manifest(folder)
        except (OSError, json.JSONDecodeError) as error:
            row["problem"] = f"manifest.json: {error}"
        else:
            row |= {key: manifest.get(key) for key in ("tier", "tokens", "layout")}
            row["saved"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(folder.stat().st_mtime))
            if verify:
                row["problem"] = checkpoint.check(folder)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'step':>9}  {'tier':9}  {'tokens':>8}  {'layout':14}  {'size':>8}  {'saved':19}  place"]
    for row in rows:
        state = row.get("problem")
        sound = "" if state is None else "  sound" if not state else f"  DAMAGED: {state}"
        tokens = human(row["tokens"]) if row.get("tokens") is not None else "?"
        lines.append(
            f"{row['step']:9,}  {row.get('tier') or '?':9}  {tokens:>8}  {row.get('layout') or '?':14}  "
            f"{row['bytes'] / 1e6:6,.0f}MB  {row.get('saved', '?'):19}  {row['path']}{sound}"
        )
    return "\n".join(lines)


def run_of(folder: Path) -> Path:
    """The run that a checkpoint is in. Raises InputError when it is in none."""
    for parent in folder.resolve().parents:
        if (parent / "recipe.toml").exists() and (parent / "tokenize" / "tokenizer").is_dir():
            return parent
    raise InputError(f"{folder} is not in a run's folder, with its recipe.toml and tokenize/: its shape is not known")


def convert(folder: Path, out: Path) -> str:
    """Write the weights of a checkpoint as a Hugging Face folder with its tokenizer; returns what was done."""
    if out.exists():
        raise InputError(f"{out} is there already: give a new folder")
    found = find(folder)
    if len(found) != 1:
        raise InputError(f"{folder} holds {len(found)} checkpoints: give one, such as {found[-1]}")
    problem = checkpoint.check(folder)
    if problem:
        raise InputError(f"{folder} is damaged ({problem}); altiplano checkpoint verify shows which are sound")
    run = run_of(folder)
    recipe = load_recipe(str(run / "recipe.toml"), [])
    out.mkdir(parents=True)
    export_weights(folder, recipe, Tokenizer.load(run / "tokenize" / "tokenizer"), out)
    for file in (run / "tokenize" / "tokenizer").iterdir():
        shutil.copy(file, out)
    return f"step {checkpoint.step_of(folder):,} of {recipe.name} is in {out}"
