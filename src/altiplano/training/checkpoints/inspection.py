"""Looking at checkpoints from outside a run: find them, list them, verify every byte."""

import time
from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.recipe.units import human
from altiplano.storage import Damaged, listed
from altiplano.training.checkpoints import checkpoint


def find(place: Path) -> list[Path]:
    """Checkpoints, oldest first: ``place`` itself, or those of the run (finished or at work) whose folder it is.

    Raises InputError when there are none.
    """
    if checkpoint.NAME.fullmatch(place.name) and place.is_dir():
        return [place]
    found = [saved for folder in folders(place) if folder.is_dir() for saved in reversed(checkpoint.saved(folder))]
    if not found:
        raise InputError(f"{place} has no checkpoints: give a run's folder, or one named step-…")
    return found


def folders(place: Path) -> list[Path]:
    """Where checkpoints of the run in ``place`` may be."""
    found = [place, place / "checkpoints", place / "train" / "checkpoints"]
    found += [phase / "checkpoints" for phase in listed(place, "train-*")]
    return [*found, *(work / "checkpoints" for work in listed(place / ".work", "train-*"))]


def describe(place: Path, *, verify: bool) -> list[dict[str, Any]]:
    """What each checkpoint's manifest says; with ``verify`` also what is wrong with its bytes ("": nothing)."""
    rows = []
    for folder in find(place):
        row: dict[str, Any] = {"path": str(folder), "step": checkpoint.step_of(folder)}
        row["bytes"] = checkpoint.size([folder])
        try:
            manifest = checkpoint.read_manifest(folder)
        except (OSError, Damaged, InputError) as error:
            row["problem"] = str(error)
        else:
            row |= {"tier": manifest.tier, "tokens": manifest.tokens, "layout": manifest.layout}
            row["saved"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(folder.stat().st_mtime))
            if verify:
                row["problem"] = checkpoint.check(folder).problem
        rows.append(row)
    return rows


def describe_aside(place: Path) -> str:
    """What was set aside in the run in ``place``, and how much disk it takes; empty when nothing was."""
    found = [path for folder in folders(place) for path in checkpoint.kept_aside(folder)]
    if not found:
        return ""
    names = "\n".join(f"  {path}" for path in found)
    return f"set aside, {checkpoint.size(found) / 1e6:,.0f} MB; nothing removes them but you:\n{names}"


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
