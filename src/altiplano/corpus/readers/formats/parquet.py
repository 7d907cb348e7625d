"""Parquet with a column of text, as datasets are published."""

from collections.abc import Iterator
from typing import Any

from altiplano.corpus.readers.archives.decompression import BROKEN
from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.formats.jsonl import LINE_BYTES, NO_TEXT, REST_LOST, TEXT_KEYS, URL_KEYS
from altiplano.corpus.readers.formats.markup_kind import markup_of
from altiplano.corpus.readers.opening import File, size_of
from altiplano.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    FileRead,
    RawDocument,
    Record,
    records_lost,
    taken_of,
)
from altiplano.optional_imports import extra

ROWS = 256
"""Read at a time."""


def read(path: File, place: str, text_key: str = "") -> Iterator[Record]:
    """Row groups around a damaged one are kept. Sizes are of the texts; of a lost row group, of its column."""
    parquet = extra("pyarrow.parquet")
    size = 0
    try:
        with path.open("rb") as stream, parquet.ParquetFile(stream, page_checksum_verification=True) as file:
            key = _text_column(file.schema_arrow, (text_key,) if text_key else TEXT_KEYS)
            if key is None:
                yield BadRecord(NO_TEXT, place, size=size_of(path), taken=0, records=max(1, file.metadata.num_rows))
                return
            url = next((name for name in URL_KEYS if name in file.schema_arrow.names), None)
            number = 0
            for group in range(file.metadata.num_row_groups):
                for record in _group(file, group, key, url, number, place):
                    size += taken_of(record)
                    yield record
                number += file.metadata.row_group(group).num_rows
    except BROKEN as error:  # pyarrow's own errors derive from these
        lost = size_of(path)
        yield BadRecord(REST_LOST, f"{place}: {error}", True, records_lost(lost, 0, 0, LINE_BYTES), lost, 0)
    yield FileRead(size, {})


def _text_column(schema: Any, keys: tuple[str, ...]) -> str | None:
    types = extra("pyarrow").types
    kinds = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary,
             types.is_binary_view, types.is_dictionary)  # fmt: skip
    usual = [key for key in keys if key in schema.names]
    return next((key for key in usual if any(kind(schema.field(key).type) for kind in kinds)), None)


def _group(
    file: Any, group: int, key: str, url: str | None, before: int, place: str
) -> Iterator[RawDocument | BadRecord]:
    """``before`` is how many rows there are in the groups before."""
    rows, number = file.metadata.row_group(group).num_rows, 0
    try:
        columns = [key] + ([url] if url else [])
        for batch in file.iter_batches(batch_size=ROWS, row_groups=[group], columns=columns):
            for row in batch.to_pylist():
                number += 1
                where = f"{place}#{before + number}"
                yield from _row(row[key], _name(row[url]) if url else "", where, url == "path")
    except BROKEN as error:
        size = _column_size(file, group, key) * (rows - number) // max(rows, 1)
        where = f"{place}#{before + number + 1}: {error}"
        yield BadRecord("damaged row group", where, records=max(1, rows - number), size=size, taken=0)


def _column_size(file: Any, group: int, key: str) -> int:
    found = file.metadata.row_group(group)
    columns = (found.column(number) for number in range(found.num_columns))
    return next((column.total_uncompressed_size for column in columns if column.path_in_schema == key), 0)


def _name(url: object) -> str:
    return url.decode("utf-8", "replace") if isinstance(url, bytes) else str(url or "")


def _row(text: object, url: str, where: str, is_path: bool) -> Iterator[RawDocument | BadRecord]:
    if isinstance(text, bytes):
        size = len(text)
        text, repair = decode(text)
        if repair:
            yield BadRecord(repair, where, lost=False, taken=0)
    elif isinstance(text, str):
        size = len(text.encode("utf-8"))
    else:
        yield BadRecord(NO_TEXT, where)
        return
    yield (
        RawDocument(where, url, markup_of(url) if is_path else "text", text, size)
        if size <= MAX_RECORD_BYTES
        else BadRecord(TOO_LONG, where, size=size)
    )
