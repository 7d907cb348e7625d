"""Looking at checkpoints from outside a run: find them, list them, verify every byte."""

import json
import time
from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.recipe.units import human
from altiplano.training import checkpoint


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
