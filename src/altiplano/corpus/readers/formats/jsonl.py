"""JSON lines, plain or compressed: one object per line with its text under ``text`` or ``content``."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from altiplano.corpus.readers.decoding import decode
from altiplano.corpus.readers.formats.markup_kind import markup_of
from altiplano.corpus.readers.opening import BROKEN, File, open_raw
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, BadRecord, RawDocument

TEXT_KEYS = ("text", "content")
URL_KEYS = ("url", "path", "id")


def read(path: File, place: str) -> Iterator[RawDocument | BadRecord]:
    number = 0
    try:
        with open_raw(path) as stream:
            while line := stream.readline(MAX_RECORD_BYTES + 1):
                number += 1
                where = f"{place}#{number}"
                if len(line) <= MAX_RECORD_BYTES:
                    if line.strip():
                        yield from _record(line, where)
                    continue
                del line  # not two of them in memory
                yield BadRecord(TOO_LONG, where)
                _skip_line(stream)
    except BROKEN as error:
        yield BadRecord("unreadable file, the rest is lost", f"{place} after line {number}: {error}")


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass


def _record(line: bytes, where: str) -> Iterator[RawDocument | BadRecord]:
    text, repair = decode(line)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield BadRecord("malformed JSON line", f"{where}: {error}")
        return
    if not isinstance(record, dict):
        record = {}
    body = next((record[key] for key in TEXT_KEYS if isinstance(record.get(key), str)), None)
    if body is None:
        yield BadRecord('no string under "text" or "content"', where)
        return
    if repair:
        yield BadRecord(repair, where, lost=False)
    url = next((str(record[key]) for key in URL_KEYS if record.get(key)), "")
    body = body.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate from \ud800 cannot be written back
    yield RawDocument(where, url, markup_of(str(record.get("path") or "")), body, len(body.encode("utf-8")))
