"""The decompressed bytes of a web archive file, piece by piece; after damage in a gzip file from the next member on.

Each record of a web archive is a gzip member of its own, so that damage costs the rest of one member only.
"""

import io
import zlib
from typing import Any, BinaryIO, cast

from altiplano.corpus.readers.archives.decompression import FREE_BYTES, MAX_RATIO, Stream, compression

PIECE = 64 * 2**10
SMALL = 32 * 2**10
"""Unpacked at a time: so much at most is lost before the place where zlib finds an error."""

FIRST = 512
"""Bytes that show whether a gzip member begins here, and with a record."""

LOOK_BACK = 2**20
"""Inflating damaged bytes may run on into the next members before zlib notices; so far back they are looked for."""

GZIP = b"\x1f\x8b\x08"


class DamageError(Exception):
    """Bytes that cannot be unpacked. Reading may go on with what comes after them."""


class Unpacked:
    """``more()`` reads on until ``ended``; ``consumed`` is how many of the file's own bytes are behind what it gave;
    ``is_open`` is false between gzip members."""

    def __init__(self, stream: BinaryIO, suffix: str = ""):
        self._stream = stream
        self._raw = b""
        self._raw_end = 0
        self._member: Any = None
        self._member_start = self._member_size = 0
        self._looked_back = self._unpacked_in_vain = 0
        self.consumed = 0
        self.ended = False
        start = self._read()
        # a damaged beginning is no reason not to believe the file's name
        named = ".gz" if suffix == ".gz" and b"WARC/1." not in start else ""
        suffix = compression(start, named)
        self.is_gzip, self.is_plain = suffix == ".gz", not suffix
        self.is_open = not self.is_gzip
        self._whole: _Rejoined | None = None
        if suffix and not self.is_gzip:
            self._whole = _Rejoined(start, stream)
            self._stream = Stream(cast(BinaryIO, self._whole), suffix)
            start = b""
        self._raw = start

    def more(self) -> bytes:
        """The next bytes, perhaps none. Raises DamageError, after which it may be called again, and OSError."""
        if not self.is_gzip:
            data, self._raw = self._raw or self._read(), b""
            self.consumed, self.ended = self._whole.count if self._whole else self._raw_end, not data
            return data
        if self._member is None and not self._begin_member():
            self.ended = True
            return b""
        self._raw = self._raw or self._read()
        if not self._raw:
            self._member, self.is_open = None, False
            if not self._member_size:  # a damaged header may have swallowed the members after it
                self._recover()
                if not self.ended:
                    raise DamageError("a gzip member has no end")
                self.ended = False  # it is told by the next call, as always: what is lost here is one record
            raise DamageError("cut off by the end of the file")
        try:
            data = cast(bytes, self._member.decompress(self._raw, SMALL))
        except zlib.error as error:
            self._recover()
            raise DamageError(str(error)) from error
        self.is_open = not self._member.eof
        self._raw = self._member.unconsumed_tail if self.is_open else self._member.unused_data
        self.consumed = self._raw_end - len(self._raw)
        self._member_size += len(data)
        if self._member_size > max(FREE_BYTES, MAX_RATIO * (self.consumed - self._member_start)):
            self._find_member(self._raw)
            raise DamageError(f"unfolds to more than {MAX_RATIO} times its size")
        if not self.is_open:
            self._member = None
        return data

    def _read(self) -> bytes:
        # as it comes: reading on until a piece is full would lose it where an error follows
        data = self._stream.read1(PIECE) if isinstance(self._stream, Stream) else self._stream.read(PIECE)
        self._raw_end += len(data)
        return data

    def _begin_member(self) -> bool:
        """Whether there is another one. Zero bytes between and after them are padding, as tapes and disks leave it."""
        while not (raw := self._raw.lstrip(b"\0")):
            self._raw = self._read()
            if not self._raw:
                self.consumed = self._raw_end
                return False
        self._raw = raw if len(raw) >= len(GZIP) else raw + self._read()
        self.consumed = self._member_start = self._raw_end - len(self._raw)
        if not self._raw.startswith(GZIP):
            self._find_member(self._raw)
            raise DamageError("no gzip member begins here")
        self._member, self._member_size, self.is_open = zlib.decompressobj(wbits=31), 0, True
        return True

    def _recover(self) -> None:
        """Find the next member after the beginning of the damaged one, or after what was read, where streams cannot
        seek or a hostile file would be read many times over."""
        again = max(self._member_start + 1, self._raw_end - len(self._raw) - LOOK_BACK)
        cost = self._raw_end - again
        self._unpacked_in_vain += self._member_size
        if (
            self._looked_back + cost > self._raw_end + 64 * LOOK_BACK
            or self._unpacked_in_vain > FREE_BYTES + MAX_RATIO * self._raw_end
        ):
            return self._find_member(self._raw)
        try:
            self._stream.seek(again)
        except (OSError, ValueError):
            return self._find_member(self._raw)
        self._looked_back += cost
        self._raw_end = again
        return self._find_member(b"")

    def _find_member(self, raw: bytes) -> None:
        """Leave off before the next place where a gzip member begins whose contents begin with a WARC record."""
        self._member, self.is_open = None, False
        while True:
            at = raw.find(GZIP)
            while at >= 0:
                if len(raw) < at + FIRST:
                    raw += self._read()
                if _holds_record(raw[at : at + FIRST]):
                    self._raw = raw[at:]
                    self.consumed = self._raw_end - len(self._raw)
                    return
                at = raw.find(GZIP, at + 1)
            more = self._read()
            if not more:
                self._raw, self.consumed, self.ended = b"", self._raw_end, True
                return
            raw = raw[-2:] + more


def _holds_record(raw: bytes) -> bool:
    try:
        return zlib.decompressobj(wbits=31).decompress(raw, 16).lstrip(b"\r\n").startswith(b"WARC/")
    except zlib.error:
        return False


class _Rejoined(io.RawIOBase):
    """A stream from its beginning again, though it may not seek. ``count`` bytes of it were read."""

    def __init__(self, start: bytes, stream: BinaryIO):
        self._start, self._stream, self.count = start, stream, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start[: len(buffer)] or self._stream.read(len(buffer))
        self._start = self._start[len(buffer) :]
        self.count += len(data)
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """To the beginning only."""
        self.count = self._stream.seek(offset, whence)
        self._start = b""
        return self.count
