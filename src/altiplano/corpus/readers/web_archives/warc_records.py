"""WARC records, one after the other, and the bytes between them that are none.

No library does this: FastWARC ends a file at the first damage, or skips it silently, and warcio does not look for the
next record either. What cannot be read is returned with its size, so that it can be counted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from altiplano.corpus.readers.archives.decompression import BROKEN
from altiplano.corpus.readers.opening import File, size_of
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, FileRead
from altiplano.corpus.readers.web_archives.unpacking import DamageError, Unpacked

HEADER_BYTES = 2**20
HEADERS = "WARC headers"
START = b"WARC/"
RECORD = re.compile(rb"WARC/[01]\.\d{1,2}[ \t]{0,4}\r?\n(?=[A-Za-z-]{3,40}:)")
RECORD_BYTES = 64
"""Longer than anything that ``RECORD`` looks at."""

BEGINNING = 16 * 2**10
"""Bytes of a long record that tell what it is."""

CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")
HEADER_END = re.compile(rb"\n\r?\n")
BLANK = re.compile(rb"[\r\n\0]*+")
"""Between records. Zero bytes stand there where a file was written in blocks."""

IGNORED = ("warcinfo", "request", "metadata")
"""Records that hold no page; what they hold is not kept in memory."""


@dataclass(frozen=True)
class WarcRecord:
    """``headers`` by name in lower case; ``block`` is what follows, only its beginning where it is ``too_long``."""

    headers: dict[str, str]
    block: bytes
    too_long: bool = False
    length: int = 0
    """Bytes of the whole block."""

    @property
    def kind(self) -> str:
        return self.headers.get("warc-type", "").lower()

    @property
    def url(self) -> str:
        """wget writes it between angle brackets, as the first edition of the standard had it."""
        return self.headers.get("warc-target-uri", "").strip().removeprefix("<").removesuffix(">")


@dataclass(frozen=True)
class Lost:
    """``size`` bytes of the file from ``position`` on, of which ``taken`` were unpacked. ``is_one``: they are of one
    record and no more."""

    reason: str
    position: int
    size: int
    url: str
    is_one: bool
    taken: int


def records(file: File) -> Iterator[WarcRecord | Lost | FileRead]:
    """All records of a web archive, plain or compressed in any way, and what came out of the file in all; no content
    of a file raises an error."""
    reader = None
    try:
        with file.open("rb") as stream:
            reader = _Reader(Unpacked(stream, file.suffix.lower()))
            while (found := reader.next()) is not None:
                yield found
    except BROKEN as error:
        position = reader.position if reader else 0
        size = max(size_of(file) - position, 0)
        why = f"{getattr(error, 'strerror', None) or error}"
        yield Lost(why, position, size, reader.url if reader else "", False, reader.unaccounted if reader else 0)
        if reader:
            reader.buffer.clear()
    if reader:
        yield FileRead(reader.read, {HEADERS: reader.framing})


class _Reader:
    def __init__(self, source: Unpacked):
        self.source = source
        self.buffer = bytearray()
        self.read = self.read_again = 0
        """Bytes unpacked, and bytes of records that were taken apart again."""
        self.framing = self.accounted = 0
        """Bytes of headers and between records; and these with all records and losses."""
        self.position = 0
        """In the file: where the record at hand begins."""
        self.url = ""

    @property
    def unaccounted(self) -> int:
        """Bytes that were unpacked and are in no record."""
        return self.read - self.accounted

    def next(self) -> WarcRecord | Lost | None:
        """None at the end. What was read in vain comes back as a loss."""
        self.url = ""
        self.position = self._here()
        try:
            self._skip_blank()
            if not self.buffer:
                return None
            self.position = self._here()
            return self._record() if self.buffer.startswith(START) else self._skip_to_record("no record begins here")
        except DamageError as error:
            self.buffer.clear()
            return self._lost(str(error))

    def _here(self) -> int:
        """Exact in plain files and between gzip members; elsewhere as near as what was read ahead allows."""
        return self.source.consumed - (len(self.buffer) if self.source.is_plain else 0)

    def _lost(self, reason: str, is_one: bool = False) -> Lost:
        is_one = is_one or (bool(self.url) and not self.source.ended)
        taken = self.unaccounted - len(self.buffer)
        self.accounted += taken
        return Lost(reason, self.position, self._here() - self.position, self.url, is_one, taken)

    def _fill(self) -> bool:
        """Read on; false at the end of the file."""
        data = self.source.more()
        self.buffer += data
        self.read += len(data)
        return not self.source.ended

    def _skip_blank(self, in_member: bool = False) -> None:
        """Until enough is there to tell a record, or until the end of the file or gzip member."""
        while True:
            if blank := BLANK.match(self.buffer):
                self._frame(blank.end())
            if len(self.buffer) >= len(START) or (in_member and not self.source.is_open) or not self._fill():
                return

    def _frame(self, size: int) -> None:
        """So many bytes of the buffer hold records together."""
        del self.buffer[:size]
        self.framing += size
        self.accounted += size

    def _record(self) -> WarcRecord | Lost:
        start = 0
        while (end := HEADER_END.search(self.buffer, start)) is None:
            start = max(0, len(self.buffer) - 2)
            if len(self.buffer) > HEADER_BYTES:
                return self._skip_to_record("header above 1 MiB")
            if not self._fill():
                self.buffer.clear()
                return self._lost("cut off in a header by the end of the file", is_one=True)
        raw = bytes(self.buffer[: end.end()])
        if CONTROL.search(raw) or RECORD.search(raw, 1):  # it runs on into another record's
            return self._skip_to_record("damaged header")
        headers = _headers(raw)
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            return self._skip_to_record("header without a Content-Length")
        self._frame(end.end())
        self.url = WarcRecord(headers, b"").url
        return self._block(headers, int(length))

    def _block(self, headers: dict[str, str], length: int) -> WarcRecord | Lost:
        kept = length <= MAX_RECORD_BYTES and WarcRecord(headers, b"").kind not in IGNORED
        announced = f"{length:,} bytes announced"
        left, new_member, beginning = length, False, b""
        while len(self.buffer) < left:
            if not kept:
                beginning = beginning or bytes(self.buffer[:BEGINNING])
                left -= len(self.buffer)
                self.buffer.clear()
            known, new_member = len(self.buffer), new_member or not self.source.is_open
            if not self._fill():
                self.buffer.clear()
                return self._lost(f"cut off by the end of the file, {announced}", is_one=True)
            if new_member and self.buffer.startswith(START, known):  # it announced more than its gzip member held
                del self.buffer[:known]
                return self._lost(f"cut off before the next record, {announced}", is_one=True)
            new_member = new_member and len(self.buffer) == known
        block = bytes(self.buffer[:left]) if kept else beginning
        del self.buffer[:left]
        # a gzip member's checksum stands at its end: before that nobody knows whether the record is sound
        self._skip_blank(in_member=True)
        follows = self.buffer[: len(START)]
        odd = follows and not START.startswith(follows)
        # not again and again: a hostile file's records may all announce the rest of the file
        if odd and self.read_again + length <= self.read + MAX_RECORD_BYTES // 8 and (inside := RECORD.search(block)):
            self.read_again += length
            self.buffer[:0] = block[inside.start() :]  # it announced too much, and swallowed those after it
            return self._lost(f"damaged header, {announced}", is_one=True)
        # its member may hold more records; one that has no sound end raises, and then this record is not sound
        while odd and self.source.is_gzip and self.source.is_open and RECORD.search(self.buffer) is None:
            del self.buffer[: max(0, len(self.buffer) - RECORD_BYTES)]
            if not self._fill():
                break
        self.accounted += length
        return WarcRecord(headers, block, length > MAX_RECORD_BYTES, length)

    def _skip_to_record(self, reason: str) -> Lost:
        """Leave off before the next record; what is at hand is not taken for one again."""
        del self.buffer[:1]
        while (match := RECORD.search(self.buffer)) is None:
            del self.buffer[: max(0, len(self.buffer) - RECORD_BYTES)]
            try:
                if not self._fill():
                    self.buffer.clear()
                    return self._lost(reason)
            except DamageError:
                self.buffer.clear()
                return self._lost(reason)
        del self.buffer[: match.start()]
        return self._lost(reason)


def _headers(raw: bytes) -> dict[str, str]:
    """By name in lower case; the first of several counts. Continuation lines are joined."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in raw.decode("utf-8", "replace").split("\n")[1:]:
        if line[:1] in (" ", "\t") and name:
            found[name].append(line.strip())
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or name in found:
            name = ""
        else:
            found[name] = [value.strip()]
    return {name: " ".join(parts) for name, parts in found.items()}
