"""Altiplano: from raw text to a released Llama-class base model, by one recipe, on a laptop or on 2,048 GPUs.

Names are imported when they are first used, so that ``import altiplano`` takes no time.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from altiplano.version import __version__ as __version__

if TYPE_CHECKING:
    from altiplano.corpus.extensions import Document
    from altiplano.corpus.readers.raw import RawDocument
    from altiplano.errors import InputError, TrainingError
    from altiplano.inference.language_model import LanguageModel
    from altiplano.library import (
        Run,
        curate,
        evaluate,
        fit_temperature,
        generate,
        load_model,
        open_run,
        perplexity,
        plan,
        run,
        tokenize,
        train,
    )
    from altiplano.planning.plan import Plan
    from altiplano.recipe.cluster import Cluster
    from altiplano.recipe.layout import Layout
    from altiplano.recipe.load import load_cluster, load_recipe
    from altiplano.recipe.schema import Recipe
    from altiplano.training.callbacks import Callback, TrainingRun

# Before torch starts its threads: idle ones sleep instead of spinning. Measured on two cores, that costs nothing when
# the machine is free and saves up to nine tenths of the time when it is busy.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "altiplano.corpus.extensions": ("Document",),
    "altiplano.corpus.readers.raw": ("RawDocument",),
    "altiplano.errors": ("InputError", "TrainingError"),
    "altiplano.inference.language_model": ("LanguageModel",),
    "altiplano.library": (
        *(
            "Run",
            "curate",
            "evaluate",
            "fit_temperature",
            "generate",
            "load_model",
            "open_run",
            "perplexity",
            "plan",
            "run",
        ),
        *("tokenize", "train"),
    ),
    "altiplano.planning.plan": ("Plan",),
    "altiplano.recipe.cluster": ("Cluster",),
    "altiplano.recipe.layout": ("Layout",),
    "altiplano.recipe.load": ("load_cluster", "load_recipe"),
    "altiplano.recipe.schema": ("Recipe",),
    "altiplano.training.callbacks": ("Callback", "TrainingRun"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Callback",
    "Cluster",
    "Document",
    "InputError",
    "LanguageModel",
    "Layout",
    "Plan",
    "RawDocument",
    "Recipe",
    "Run",
    "TrainingError",
    "TrainingRun",
    "curate",
    "evaluate",
    "fit_temperature",
    "generate",
    "load_cluster",
    "load_model",
    "load_recipe",
    "open_run",
    "perplexity",
    "plan",
    "run",
    "tokenize",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'altiplano' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
