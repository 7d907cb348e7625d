"""How a stage runs: skipped when done, resumed when interrupted, published whole or not at all.

``Stage.run`` gets a ``Context`` and writes files into ``context.folder`` (a work folder that survives interruption,
named by the fingerprint of everything that determines its result). When it returns, a manifest is written, all is
synced to disk and the folder is renamed into place.
"""

import datetime
import hashlib
import json
import os
import platform
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from altiplano import __version__
from altiplano.errors import InputError
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.schema import Recipe

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What a stage sees."""

    recipe: Recipe
    cluster: Cluster
    workspace: Path
    folder: Path
    inputs: dict[str, Path]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a stage returns: counts for the manifest, and which of its files carry times or other measured values."""

    counts: dict[str, Any]
    records: tuple[str, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    passed: bool = True


@dataclass(frozen=True)
class Stage:
    name: str
    reads: tuple[str, ...]
    """Recipe keys that determine the result, such as ``corpus`` or ``model.vocabulary``."""
    inputs: tuple[str, ...]
    run: Callable[[Context], Result]


def recipe_values(recipe: Recipe, keys: tuple[str, ...]) -> dict[str, Any]:
    """The values of the given recipe keys, as plain JSON."""
    values = recipe.model_dump(mode="json")
    chosen = {}
    for key in keys:
        value = values
        for part in key.split("."):
            value = value[part]
        chosen[key] = value
    return chosen
