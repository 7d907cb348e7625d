"""The JSON values of a file, each with the bytes that it takes: lines, or an array, or objects over several lines."""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from altiplano.corpus.readers.archives.decompression import BROKEN, PIECE, Stream
from altiplano.corpus.readers.charsets.decoding import wide_codec
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG

MARKS = (
    (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"), (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)  # fmt: skip
NO_LINES = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:\[\s*+[{\[]|\{[ \t]*+\r?\n)")
"""How a file begins whose lines are no values: with an array of objects, or an object over several lines."""

BETWEEN = re.compile(r"[\s,\[\]\ufeff]*+")
NEXT = re.compile(r"[,\n]\s*+(?=\{)")
"""After a malformed value, where another may begin."""

MALFORMED = "malformed JSON record"
MAX_FAILURES = 100
"""Malformed values one after the other, after which the rest is given up: each is looked at to the end of what is
read."""


@dataclass(frozen=True)
class Value:
    """``source`` is UTF-8. ``size`` counts the file's own bytes, ``between`` those before it that are of no value."""

    source: bytes
    size: int
    between: int = 0
    error: str = ""


def values(stream: Stream) -> Iterator[Value]:
    """What could be read, and then one of ``BROKEN`` where that is not all."""
    head = stream.peek(PIECE)
    wide = next((codec for mark, codec in MARKS if head.startswith(mark)), "") or wide_codec(head)
    if wide or NO_LINES.match(head):
        return _scanned(stream, wide or "utf-8")
    return _lines(stream)


def _lines(stream: Stream) -> Iterator[Value]:
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        size = len(line)
        if size > MAX_RECORD_BYTES:
            del line  # not two of them in memory
            yield Value(b"", size + _skip_line(stream), error=TOO_LONG)
        elif line.strip():
            yield Value(line, size)
        else:
            yield Value(b"", 0, between=size)


def _skip_line(stream: Stream) -> int:
    size = 0
    while rest := stream.readline(1 << 20):
        size += len(rest)
        if rest.endswith(b"\n"):
            break
    return size


def _scanned(stream: Stream, codec: str) -> Iterator[Value]:
    # so that a slice of the text has as many bytes as it had in the file
    errors = "surrogateescape" if codec == "utf-8" else "surrogatepass"
    text, at, counted, failures, is_open = _Text(stream, codec, errors), 0, 0, 0, False
    while True:
        begin = BETWEEN.match(text.read, at).end()  # type: ignore[union-attr]
        end = _end(text.read, begin)
        if end < 0 and not text.ended and len(text.read) - at <= MAX_RECORD_BYTES:
            text.read_on(at)
            at = 0
            continue
        signs = text.read[at:begin]
        between = len(signs.encode(codec, errors))
        is_open = signs.rfind("[") > signs.rfind("]") or (is_open and "]" not in signs)
        if begin == len(text.read):
            break
        error = ""
        failures = failures + 1 if end < 0 else 0
        if end < 0:
            if text.failed or failures > MAX_FAILURES:
                raise text.failed or ValueError(f"{MAX_FAILURES} malformed records one after the other")
            following = NEXT.search(text.read, begin + 1)
            end = following.start() if following else len(text.read)
            error = MALFORMED if end - begin <= MAX_RECORD_BYTES else TOO_LONG
        source = text.read[begin:end]
        size = len(source.encode(codec, errors))
        counted += between + size
        yield Value(source.encode("utf-8", errors), size, between, error)
        at = end
    if text.failed or is_open:
        raise text.failed or EOFError("the array has no end")
    yield Value(b"", 0, stream.unpacked - counted)


class _Text:
    """``read`` is what was read on and not passed over."""

    def __init__(self, stream: Stream, codec: str, errors: str):
        self.read, self.ended = "", False
        self.failed: Exception | None = None
        self._stream, self._decoder = stream, codecs.getincrementaldecoder(codec)(errors)

    def read_on(self, at: int) -> None:
        """From ``at`` on: as much again as is there, or a value that is long would be looked at many times."""
        parts = [self.read[at:]]
        wanted = max(len(parts[0]), PIECE)
        try:
            while wanted > 0 and not self.ended:
                data = self._stream.read1(PIECE)
                parts.append(self._decoder.decode(data))
                wanted, self.ended = wanted - len(data), not data
        except BROKEN as error:
            self.failed, self.ended = error, True
        self.read = "".join(parts)


def _end(text: str, begin: int) -> int:
    """Where the object that begins there ends; -1 where it is malformed, or goes on."""
    if not text.startswith("{", begin):
        return -1
    try:
        return json.JSONDecoder().raw_decode(text, begin)[1]
    except (ValueError, RecursionError):
        return -1
