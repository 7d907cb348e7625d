"""JSON lines, plain or compressed: one object per line with its text under one of ``TEXT_KEYS``.

One array of objects, objects over several lines and UTF-16 are read as well.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from altiplano.corpus.readers.archives.decompression import BROKEN
from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.formats.json_values import values
from altiplano.corpus.readers.formats.markup_kind import markup_of
from altiplano.corpus.readers.opening import File, open_raw, size_of
from altiplano.corpus.readers.raw import BadRecord, FileRead, RawDocument, Record, records_lost

TEXT_KEYS = ("text", "content", "raw_content", "body", "markdown", "text_content", "contents", "article", "document")
"""Names under which published data sets have their text; the first that is there counts."""

URL_KEYS = ("url", "path", "id")
NO_TEXT = 'no string under "text", "content" or another usual key; text_key of the source can name it'
REST_LOST = "unreadable file, the rest is lost"
LINE_BYTES = 4096
"""Bytes of a line, about; used where none was read."""

KEYS, BETWEEN = "JSON keys, quotes and escapes", "blank lines and brackets around JSON records"


Parse = Callable[[bytes, str], Iterator[RawDocument | BadRecord]]
"""From a line, or another JSON value, and its place to what it holds."""


def read(path: File, place: str, text_key: str = "") -> Iterator[Record]:
    keys = (text_key,) if text_key else TEXT_KEYS
    return read_lines(path, place, lambda line, where: _record(line, where, keys))


def read_lines(path: File, place: str, parse: Parse) -> Iterator[Record]:
    """What ``parse`` makes of each value; what is no text of a document counts as JSON around it."""
    taken = number = good = last = before = 0
    framing = {KEYS: 0, BETWEEN: 0}
    try:
        stream = open_raw(path)
    except BROKEN as error:
        yield BadRecord(REST_LOST, f"{place}: {error}", size=size_of(path), taken=0)
        return
    with stream:
        try:
            for number, value in enumerate(values(stream), 1):
                taken += value.between
                framing[BETWEEN] += value.between
                if not value.size:
                    continue
                where, was_good = f"{place}#{number}", False
                if value.error:
                    yield BadRecord(value.error, where, size=value.size)
                else:
                    for record in parse(value.source, where):
                        if isinstance(record, RawDocument):
                            was_good, own = True, min(record.size, value.size)
                            framing[KEYS] += value.size - own
                            yield record if own == record.size else replace(record, taken=own)
                        else:
                            yield record if record.taken == 0 else replace(record, size=value.size)
                taken += value.size
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
