"""The loss of single documents in a Parquet file, so that two models can be compared on the same ones."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from altiplano.errors import InputError
from altiplano.optional_imports import extra
from altiplano.storage import publish

FILE = "documents.parquet"


@dataclass(frozen=True)
class DocumentScore:
    """How well one document was predicted."""

    group: str
    """Domain and language, or the name of the file that it is from."""
    document: str
    """The first 16 bytes of the SHA-256 of its text, hexadecimal: the same whatever the tokenizer."""
    nll: float
    """Nats."""
    tokens: int
    """That were predicted."""
    bytes: int
    """Of its UTF-8 text."""
    window: int
    """Tokens that the model saw at once, at most."""
    stride: int
    """Tokens from one window to the next; as many as ``window`` where windows do not overlap."""


def document_name(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]


def write_document_scores(file: Path, scores: Sequence[DocumentScore]) -> None:
    """Publish the file: whole or not at all."""
    arrow = extra("pyarrow", "evaluation", "the scores of documents")
    parquet = extra("pyarrow.parquet", "evaluation", "the scores of documents")
    kinds = {"nll": arrow.float64(), "group": arrow.string(), "document": arrow.string()}
    schema = arrow.schema([(one.name, kinds.get(one.name, arrow.int64())) for one in fields(DocumentScore)])
    table = arrow.Table.from_pylist([asdict(score) for score in scores], schema=schema)
    publish(file, lambda temporary: parquet.write_table(table, temporary, compression="zstd"))


def read_document_scores(file: Path) -> list[DocumentScore]:
    """Raises InputError when the file is damaged or of another shape."""
    parquet = extra("pyarrow.parquet", "evaluation", "the scores of documents")
    try:
        return [DocumentScore(**row) for row in parquet.read_table(file).to_pylist()]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file} is damaged or no file of document scores: evaluate again") from error


def by_group(scores: Iterable[DocumentScore]) -> dict[str, dict[str, DocumentScore]]:
    """Group → document → score. Of two documents with the same text the first one stays: their losses differ only by
    what stood before them."""
    found: dict[str, dict[str, DocumentScore]] = {}
    for score in scores:
        found.setdefault(score.group, {}).setdefault(score.document, score)
    return found
