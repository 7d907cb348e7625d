"""Parquet with a ``text`` or ``content`` column, as datasets are published."""

from collections.abc import Iterator

from altiplano.corpus.readers.formats.jsonl import TEXT_KEYS, URL_KEYS
from altiplano.corpus.readers.opening import BROKEN, File
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, BadRecord, RawDocument
from altiplano.optional_imports import extra


def read(path: File, place: str) -> Iterator[RawDocument | BadRecord]:
    parquet = extra("pyarrow.parquet")
    number = 0
    try:
        with path.open("rb") as stream, parquet.ParquetFile(stream) as file:
            names = file.schema_arrow.names
            key = next((name for name in TEXT_KEYS if name in names), None)
            if key is None:
                yield BadRecord('no column "text" or "content"', place)
                return
            url = next((name for name in URL_KEYS if name in names), None)
            for batch in file.iter_batches(batch_size=1024, columns=[key] + ([url] if url else [])):
                for row in batch.to_pylist():
                    number += 1
                    yield _row(row[key], str(row[url]) if url and row[url] else "", f"{place}#{number}")
    except BROKEN as error:  # pyarrow's own errors derive from these
        yield BadRecord("unreadable file, the rest is lost", f"{place} after row {number}: {error}")


def _row(text: object, url: str, where: str) -> RawDocument | BadRecord:
    if not isinstance(text, str):
        return BadRecord('no string under "text" or "content"', where)
    size = len(text.encode("utf-8"))
    return RawDocument(where, url, "text", text, size) if size <= MAX_RECORD_BYTES else BadRecord(TOO_LONG, where)
