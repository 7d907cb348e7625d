"""datatrove's filters with their defaults, in the order and with the one change (``filter_no_terminal_punct``) of the
FineWeb recipe among its examples. Its language model is the compressed lid.176, which asks as much work of a processor
as the one it would download."""

import json
from collections.abc import Callable
from pathlib import Path


def load(way: str) -> Callable[[Path, Path], int]:
    from datatrove.data import Document

    filtered = chain()

    def work(given: Path, output: Path) -> int:
        size = 0

        def documents():
            nonlocal size
            with (given / "texts.jsonl").open(encoding="utf-8") as lines:
                for record in map(json.loads, lines):
                    size += len(record["text"].encode())
                    yield Document(record["text"], record["id"])

        kept = filtered(documents(), given / "lid.176.ftz")
        output.write_text("\n".join(document.id for document in kept), encoding="utf-8")
        return size

    return work


def chain() -> Callable:
    """A function of documents and the language model's file; its splitters of words and sentences are loaded."""
    import fasttext.FastText
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        LanguageFilter,
    )

    language = LanguageFilter("en")
    filters = [
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]
    prose = "The church stands at the edge of the village. It got a new roof last year. "
    for one in filters:
        one.filter(Document(prose, "warm"))

    def filtered(documents, model: Path):
        language.model._model = fasttext.FastText._FastText(str(model))
        for one in (language, *filters):
            documents = one.run(documents)
        return documents

    return filtered
