"""Lists of prompts of other projects, read where they lie."""

import csv
import json
from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.optional_imports import extra


def read_prompts(path: Path, column: str = "") -> list[str]:
    """Prompts of a file: lines of ``.txt``, ``column`` of ``.csv`` and ``.jsonl``, ``seeds`` of PyRIT's ``.prompt``.

    Raises InputError when there are none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}") from error
    if path.suffix == ".txt":
        found = text.splitlines()
    elif path.suffix in (".prompt", ".yaml", ".yml"):
        content = extra("yaml", "evaluation", "lists of PyRIT").safe_load(text)
        found = [str(seed["value"]) for seed in content.get("seeds", [])]
    else:
        found = [str(row[column]) for row in rows(path, text) if column in row]
    found = [prompt for prompt in found if prompt.strip()]
    if not found:
        raise InputError(f"{path} has no prompts{f' in column {column!r}' if column else '; name its column'}")
    return list(dict.fromkeys(found))


def rows(path: Path, text: str) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON Lines: {error}") from error
