"""The filter step: the first reason to drop a document, from language, heuristics and the user's functions."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import Columns, DocumentShard, add_columns, load_columns, texts
from altiplano.corpus.extensions import Document, Filter, name_of
from altiplano.corpus.filters.heuristics import quality
from altiplano.corpus.filters.limits import GroupLimits
from altiplano.errors import InputError
from altiplano.execution.base import Engine
from altiplano.recipe.schema import CorpusConfig

FIELDS = ("id", "source", "domain", "url", "language")


def filter_documents(
    shards: list[DocumentShard],
    corpus: CorpusConfig,
    groups: list[GroupLimits],
    filters: Sequence[Filter],
    names: list[str],
    steps: Path,
    engine: Engine,
) -> list[DocumentShard]:
    """The shards with ``reason``, empty where a document passes.

    ``filters`` are asked in order about the documents that pass the built-in ones; ``names`` are the columns that
    they see.
    """
    work = partial(_filter, corpus=corpus, groups=groups, filters=tuple(filters), names=names)
    return add_columns("filters", work, shards, steps / "filters", engine)


def _filter(
    shard: DocumentShard, corpus: CorpusConfig, groups: list[GroupLimits], filters: tuple[Filter, ...], names: list[str]
) -> Columns:
    reasons = quality(load_columns(shard), corpus, groups)
    if filters:
        _ask(filters, shard, reasons, names)
    return {"reason": reasons}


def _ask(filters: tuple[Filter, ...], shard: DocumentShard, reasons: NDArray[Any], names: list[str]) -> None:
    """Write the reasons of the user's filters into ``reasons``."""
    rows = np.flatnonzero(reasons == "")
    columns = load_columns(shard, names)
    values = {name: columns[name][rows].tolist() for name in names}
    others = [name for name in names if name not in FIELDS]
    for at, (row, text) in enumerate(zip(rows.tolist(), texts(shard, rows), strict=True)):
        about = {name: values[name][at] for name in FIELDS}
        document = Document(text=text, annotations={name: values[name][at] for name in others}, **about)
        for function in filters:
            reason = _reason(function, document)
            if reason:
                reasons[row] = reason
                break


def _reason(function: Filter, document: Document) -> str | None:
    try:
        reason = function(document)
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"filter {name_of(function)} fails on {document.id} of {document.source}: {what}") from error
    if reason is not None and not isinstance(reason, str):
        raise InputError(f"filter {name_of(function)} must return a reason or None, not {reason!r}")
    return reason
