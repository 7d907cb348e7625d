"""Functions that the caller of ``curate`` adds: filters, annotators and readers.

They run in other processes, which import them by name: functions of a module, or ``functools.partial`` of one. Their
source is part of what a result is told apart by; the source of what they call is not.
"""

import functools
import hashlib
import inspect
import numbers
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from altiplano.corpus.readers.read import Reader
from altiplano.errors import InputError


@dataclass(frozen=True)
class Document:
    """What a filter sees of a document. ``text`` is without personal data, unless the recipe keeps that."""

    id: str
    text: str
    source: str
    domain: str
    url: str
    language: str
    annotations: Mapping[str, Any]
    """Every other column by name, numbers as floats (NaN where one does not apply), and those of annotators."""


Filter = Callable[[Document], str | None]
"""The reason to drop a document; None or an empty string keeps it."""

Annotator = Callable[[str], Mapping[str, float | str]]
"""Columns that follow from a text: the same names for every text, each a number or a string."""

PROBE = "A sentence of six plain words."
"""An annotator is run on this once, to know its columns."""


@dataclass(frozen=True)
class Extensions:
    """Checked when made. Raises InputError, naming the function, for one that other processes cannot run."""

    filters: tuple[Filter, ...] = ()
    annotators: tuple[Annotator, ...] = ()
    readers: Mapping[str, Reader] = field(default_factory=dict)
    """By ``format`` of a source."""

    def __post_init__(self) -> None:
        functions: list[Callable[..., Any]] = [*self.filters, *self.annotators, *self.readers.values()]
        for function in functions:
            _check_importable(function)

    def columns(self, reserved: Sequence[str]) -> dict[str, str]:
        """The annotators' columns and their Arrow types. Raises InputError for a name that is ``reserved``."""
        found: dict[str, str] = {}
        for annotator in self.annotators:
            for column, kind in _columns_of(annotator).items():
                if column in reserved or column in found:
                    name = name_of(annotator)
                    raise InputError(f"annotators: {name} returns {column!r}, which is a column already; rename it")
                found[column] = kind
        return found

    def annotate(self, text: str) -> dict[str, float | str]:
        """The annotators' columns of a text. Raises ValueError when one fails or returns other columns."""
        found: dict[str, float | str] = {}
        for annotator in self.annotators:
            try:
                values = dict(annotator(text))
                if _kinds(values) != _columns_of(annotator):
                    raise ValueError(f"columns are {_kinds(values)}, not {_columns_of(annotator)}")
            except Exception as error:
                raise ValueError(f"annotator {name_of(annotator)}: {type(error).__name__}: {error}") from error
            found |= {name: value if isinstance(value, str) else float(value) for name, value in values.items()}
        return found

    def fingerprint(self, *, filters: bool) -> list[str]:
        """What determines annotations, and with ``filters`` all results, beside the recipe; empty without functions."""
        functions: list[Callable[..., Any]] = [*self.annotators, *(self.filters if filters else ())]
        readers = [f"{name} {_digest(reader)}" for name, reader in sorted(self.readers.items())]
        return [*map(_digest, functions), *readers]


@functools.cache
def _columns_of(annotator: Annotator) -> dict[str, str]:
    """Its columns and their Arrow types."""
    try:
        return _kinds(dict(annotator(PROBE)))
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"annotators: {name_of(annotator)} fails on {PROBE!r}: {what}") from error


def _kinds(values: Mapping[str, Any]) -> dict[str, str]:
    for column, value in values.items():
        if not isinstance(value, numbers.Real | str):
            raise TypeError(f"{column!r} must be a number or a string, is {value!r}")
    return {column: "string" if isinstance(value, str) else "float64" for column, value in values.items()}


def name_of(function: Callable[..., Any]) -> str:
    plain = _plain(function)
    return getattr(plain, "__qualname__", repr(plain))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, partial):
        function = function.func
    return function


def _check_importable(function: Callable[..., Any]) -> None:
    name, plain = name_of(function), _plain(function)
    try:
        pickle.dumps(function)
        inspect.getsource(plain)
    except (pickle.PicklingError, AttributeError, TypeError, OSError) as error:
        raise InputError(
            f"{name}: tasks run in other processes, which import functions by name: define it with def in a module"
        ) from error
    if plain.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise InputError(f"{name}: other processes cannot import what a prompt or notebook defines: put it in a file")


def _digest(function: Callable[..., Any]) -> str:
    source = inspect.getsource(_plain(function)).encode()
    return hashlib.sha256(source + b"\0" + pickle.dumps(function)).hexdigest()
