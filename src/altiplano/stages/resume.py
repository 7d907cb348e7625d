"""Going on with a long stage that was begun with other settings: only those that its user allows, key by key.

A work folder is named by everything that determines its result, so a changed recipe would silently begin anew beside
weeks of work. Instead the change is named and refused, or allowed and recorded.
"""

import json
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from altiplano.errors import InputError
from altiplano.recipe.schema import Recipe
from altiplano.records.stage import work_folders
from altiplano.storage import append_line, listed, read_json, write_json

WANTED = "wanted.json"
CHANGES = "changes.jsonl"
NOT_THERE = "not there"
# What no running training can take up: its weights, its order of samples and its tokens belong to these.
FIXED = ("model.", "inputs.", "batch.sequence_length", "seed")


def begin(name: str, folder: Path, wanted: dict[str, Any], allow: tuple[str, ...], *, begin_again: bool) -> None:
    """Make ``folder`` the work folder of ``wanted``, from one that was begun with other settings if there is one.

    Raises InputError naming every changed key that is not in ``allow``. With ``anew`` the other one is left alone.
    """
    if not (folder / WANTED).exists() and not begin_again:
        before = [other for other in listed(folder.parent, work_folders(name)) if (other / WANTED).exists()]
        if before:
            newest = max(before, key=lambda other: (other / WANTED).stat().st_mtime)
            _take_over(name, newest, folder, wanted, allow)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / WANTED, wanted)


def wait_until_begun(folder: Path) -> None:
    """For processes that leave ``begin`` to the first one; that one fails loudly, so nobody waits for ever."""
    while not (folder / WANTED).exists():
        time.sleep(0.1)


def _take_over(name: str, old: Path, new: Path, wanted: dict[str, Any], allow: tuple[str, ...]) -> None:
    changes = {
        key: values
        for key, values in differences(read_json(old / WANTED), wanted).items()
        if not _was_added(key, *values)
    }
    told = "; ".join(f"{key} was {before}, is {after}" for key, (before, after) in changes.items())
    where = f"{name} in {old} was begun with other settings: {told}"
    fixed = [key for key in changes if key.startswith(FIXED)]
    if fixed:
        raise InputError(
            f"{where}. {', '.join(fixed)} cannot change in a running {name}: "
            "change it back, choose another --workspace, or begin anew with --force"
        )
    missing = [key for key in changes if key not in allow]
    if missing:
        flags = " ".join(f"--allow {key}" for key in missing)
        raise InputError(f"{where}. To go on with the change: {flags}; to begin anew: --force or another --workspace")
    record = {"time": round(time.time(), 3), "changes": {key: list(values) for key, values in changes.items()}}
    append_line(old / CHANGES, json.dumps(record))
    old.rename(new)


def _was_added(key: str, before: Any, after: Any) -> bool:
    """Whether the version that began did not have this key, and nobody sets it now: defaults of new keys compute what
    was computed without them."""
    if before != NOT_THERE:
        return False
    section: Any = Recipe
    *sections, name = key.split(".")
    for one in sections:
        field = section.model_fields.get(one)
        section = field.annotation if field is not None else None
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return False
    field = section.model_fields.get(name)
    return field is not None and to_jsonable_python(field.get_default(call_default_factory=True)) == after


def differences(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Changed values by dotted key, as the recipe spells them: ``optimizer.learning_rate``."""
    flat = [_flatten(values) for values in (before, after)]
    keys = [*flat[0], *(key for key in flat[1] if key not in flat[0])]
    return {
        key: (flat[0].get(key, NOT_THERE), flat[1].get(key, NOT_THERE))
        for key in keys
        if flat[0].get(key) != flat[1].get(key)
    }


def _flatten(values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", {key: value for key, value in values.items() if key not in ("recipe", "stage")} | values["recipe"])
    return flat
