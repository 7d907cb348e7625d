"""JSON lines, plain or compressed: one object per line with its text under one of ``TEXT_KEYS``."""

import json
from collections.abc import Callable, Iterator

from altiplano.corpus.readers.archives.decompression import BROKEN, Stream
from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.formats.markup_kind import markup_of
from altiplano.corpus.readers.opening import File, open_raw, size_of
from altiplano.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    FileRead,
    RawDocument,
    Record,
    records_lost,
)

TEXT_KEYS = ("text", "content", "raw_content", "body", "markdown", "text_content", "contents", "article", "document")
"""Names under which published data sets have their text; the first that is there counts."""

URL_KEYS = ("url", "path", "id")
NO_TEXT = 'no string under "text", "content" or another usual key; text_key of the source can name it'
REST_LOST = "unreadable file, the rest is lost"
LINE_BYTES = 4096
"""Bytes of a line, about; used where none was read."""

KEYS, BLANK = "JSON keys, quotes and escapes", "blank lines"


Parse = Callable[[bytes, str], Iterator[RawDocument | BadRecord]]
"""From a line and its place to what it holds."""


def read(path: File, place: str, text_key: str = "") -> Iterator[Record]:
    keys = (text_key,) if text_key else TEXT_KEYS
    return read_lines(path, place, lambda line, where: _record(line, where, keys))


def read_lines(path: File, place: str, parse: Parse) -> Iterator[Record]:
    """What ``parse`` makes of each line; what is no text of a document counts as JSON around it."""
    number = taken = good = last = before = 0
    framing = {KEYS: 0, BLANK: 0}
    try:
        stream = open_raw(path)
    except BROKEN as error:
        yield BadRecord(REST_LOST, f"{place}: {error}", size=size_of(path), taken=0)
        return
    with stream:
        try:
            while line := stream.readline(MAX_RECORD_BYTES + 1):
                number += 1
                size = len(line)
                where, was_good = f"{place}#{number}", False
                if size > MAX_RECORD_BYTES:
                    del line  # not two of them in memory
                    size += _skip_line(stream)
                    yield BadRecord(TOO_LONG, where, size=size)
                elif line.strip():
                    for record in parse(line, where):
                        was_good = isinstance(record, RawDocument)
                        framing[KEYS] += size - record.size if isinstance(record, RawDocument) else 0
                        yield record
                else:
                    framing[BLANK] += size
                taken += size
                if was_good:
                    before, good, last = stream.position(taken), good + 1, number
        except BROKEN as error:
            rest = stream.unpacked - taken
            size = max(size_of(path) - before, rest)
            # lines since the last good one are counted already
            records = max(1, records_lost(size_of(path) - before, before, good, LINE_BYTES) - (number - last))
            where = f"{place} after line {number}: {error}"
            yield BadRecord(REST_LOST, where, records=records, size=size, taken=rest)
        yield FileRead(stream.unpacked, framing)


def _skip_line(stream: Stream) -> int:
    size = 0
    while rest := stream.readline(1 << 20):
        size += len(rest)
        if rest.endswith(b"\n"):
            break
    return size


def _record(line: bytes, where: str, keys: tuple[str, ...]) -> Iterator[RawDocument | BadRecord]:
    text, repair = decode(line)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield BadRecord("malformed JSON line", f"{where}: {error}", size=len(line))
        return
    if not isinstance(record, dict):
        yield BadRecord("JSON line that is no object", where, size=len(line))
        return
    bodies = [record[key] for key in keys if isinstance(record.get(key), str)]
    body = next((body for body in bodies if body.strip()), bodies[0] if bodies else None)
    if body is None:
        yield BadRecord(NO_TEXT, where, size=len(line))
        return
    if repair:
        yield BadRecord(repair, where, lost=False, taken=0)
    url = next((str(record[key]) for key in URL_KEYS if record.get(key)), "")
    # a lone surrogate from \ud800 cannot be written back
    body, url = (each.encode("utf-8", "replace").decode("utf-8") for each in (body, url))
    # in a line that is not UTF-8 the text may be shorter than it is as UTF-8
    size = min(len(body.encode("utf-8")), len(line))
    yield RawDocument(where, url, markup_of(str(record.get("path") or "")), body, size)
