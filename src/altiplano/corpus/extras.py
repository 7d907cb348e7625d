"""Libraries of the optional extra ``corpus``, imported only by the functions that need them."""

import importlib
import os
from typing import Any

from altiplano.errors import InputError


def extra(module: str) -> Any:
    """Import a module of the ``corpus`` extra; a missing one is the user's to install, not a stack trace."""
    os.environ.setdefault("DO_NOT_TRACK", "true")  # Daft reports usage over the network otherwise
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")  # the engine shows its own
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError('curation needs the optional packages: pip install "altiplano[corpus]"') from error
