"""``altiplano inspect``: which question was asked, and its answer as JSON or on the terminal."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from altiplano.errors import InputError
from altiplano.inspect import screens
from altiplano.inspect.curated_run import open_curated
from altiplano.inspect.document_search import Wanted, find, listed, overview
from altiplano.inspect.document_trace import trace
from altiplano.inspect.token_shards import (
    document_tokens,
    shard_documents,
    shard_of,
    shard_row,
    shards_of,
    tokenizer_of,
)
from altiplano.inspect.trace_screen import trace_screen


@dataclass(frozen=True)
class Question:
    """What to look at. ``name`` is an id, its beginning or an address; ``tokens`` a shard, "" all of them."""

    name: str | None = None
    documents: bool = False
    wanted: Wanted = field(default_factory=Wanted)
    limit: int = 20
    tokens: str | None = None
    document: int | None = None
    full: bool = False


def inspect(run: Path, question: Question, as_json: bool) -> None:
    """Print the answer. Raises InputError for a question that has none."""
    _check(question)
    answer, screen = _of_tokens(run, question) if question.tokens is not None else _of_documents(run, question)
    if as_json:
        print(json.dumps(_plain(answer), indent=1, ensure_ascii=False))
    else:
        Console(highlight=False).print(screen)


def _check(question: Question) -> None:
    if question.limit < 1:
        raise InputError(f"--limit {question.limit}: give a number of documents above 0")
    if question.document is not None and not question.tokens:
        raise InputError(
            f"--document {question.document} needs a shard: --tokens web.en --document {question.document}"
        )
    if sum((question.name is not None, question.documents, question.tokens is not None)) > 1:
        raise InputError("one question at a time: an ID, --documents or --tokens")
    if question.wanted.kept and question.wanted.reason is not None:
        raise InputError("--kept and --reason exclude each other: kept documents have no reason")


def _of_documents(run: Path, question: Question) -> tuple[dict[str, Any], RenderableType]:
    curated = open_curated(run)
    if question.name is not None:
        found = trace(curated, find(curated, question.name))
        return found, trace_screen(run, found, question.full)
    if question.documents:
        found = listed(curated, question.wanted, question.limit)
        return found, screens.documents_screen(run, found)
    tokenized = (run / "tokenize" / "shards.json").exists()
    found = overview(curated, shards_of(run) if tokenized else [])
    return found, screens.overview_screen(run, found)


def _of_tokens(run: Path, question: Question) -> tuple[dict[str, Any], RenderableType]:
    found: dict[str, Any]
    if not question.tokens:
        found = {"shards": [shard_row(shard) for shard in shards_of(run)]}
        return found, screens.shards_screen(run, found["shards"])
    shard, tokenizer = shard_of(run, question.tokens), tokenizer_of(run)
    row = shard_row(shard)
    if question.document is None:
        found = {**row, "first": shard_documents(shard, tokenizer, question.limit)}
        return found, screens.shard_screen(run, found)
    tokens = document_tokens(shard, question.document, tokenizer)
    size = int(shard.document_bytes[question.document])
    found = {"shard": row["shard"], "document": question.document, "bytes": size, "tokens": tokens}
    return found, screens.tokens_screen(found, question.full)


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
