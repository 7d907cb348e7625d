"""Decompressed streams that give every byte before damage, and no more than a bound for each byte of the file.

Python's own file objects lose what they had unpacked in the call that fails: up to 256 KiB, which is all of a small
file. So where a stream ends in an error it is unpacked once more up to there, and from there on byte by byte.
"""

import bz2
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

from altiplano.optional_imports import extra

MAX_RATIO = 300
"""Text compresses 3 to 10 times, logs and markup up to 50; gzip reaches at most 1,032, in decompression bombs."""

FREE_BYTES = 256 * 2**20
"""Any file may decompress to this much, however small it is."""

BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, RuntimeError)
"""What a damaged, vanishing or hostile file may raise while it is read."""

PIECE = 64 * 2**10
XZ_MEMORY = 256 * 2**20
"""xz -9 needs 65 MiB; a hostile file may ask for 4 GiB."""

STEP, FINE = 4 * 2**10, 64
"""Bytes of a file read at a time, and near damage: so well is it known how much of the file came out before."""

EMPTY = 64
"""Bytes of a compressed file with nothing in it, at most."""

CUT = "cut off by the end of the file"


class Source:
    """A compressed stream, which may be a web server's; ``count`` is how much of it was read."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.count, self.closed = stream, 0, False
        self._fine_from: int | None = None

    def read(self, size: int = PIECE) -> bytes:
        fine = self._fine_from is not None and self.count >= self._fine_from
        data = self.stream.read(min(size, FINE if fine else STEP))
        self.count += len(data)
        return data

    def close(self) -> None:
        """The stream outlives its reader: it may be read again."""

    def rewind(self) -> None:
        """Raises OSError or ValueError where the stream cannot seek."""
        self.stream.seek(0)
        self._fine_from = self.count - 2 * PIECE
        self.count = 0


Pieces = Callable[[Source, int], Iterator[bytes]]
"""The unpacked pieces of a source; after so many bytes one byte at a time. Raises one of ``BROKEN``."""


class Unpacked(io.RawIOBase):
    """``count`` is how many bytes came out, ``used`` how many of the file had been read when the last one did."""

    def __init__(self, stream: BinaryIO, pieces: Pieces):
        self.source, self._make = Source(stream), pieces
        self._pieces, self._data = pieces(self.source, 1 << 62), b""
        self._is_plain = self._is_second_try = pieces is _plain
        self.count = self.used = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._data:
            try:
                self._data = next(self._pieces)
            except StopIteration:
                if not self.count and not self._is_plain and not 0 < self.source.count <= EMPTY:
                    raise EOFError(CUT) from None
                return 0
            except BROKEN:
                if self._is_second_try or not self._again():
                    raise
                continue
            self.count += len(self._data)
            self.used = self.source.count
            if self.count > max(FREE_BYTES, MAX_RATIO * self.source.count):
                raise OSError(f"unfolds to more than {MAX_RATIO} times its size")
        size = min(len(buffer), len(self._data))
        buffer[:size], self._data = self._data[:size], self._data[size:]
        return size

    def _again(self) -> bool:
        """Unpack up to where an error was, and go on in small steps; false where the stream cannot be read again."""
        self._is_second_try = True
        try:
            self.source.rewind()
            self._pieces = self._make(self.source, self.count)
            left = self.count
            while left > 0:
                left -= len(next(self._pieces))
                self.used = self.source.count
        except (*BROKEN, StopIteration):
            return False
        return left == 0

    def close(self) -> None:
        self.source.stream.close()
        super().close()


def _most(given: int, exact_after: int) -> int:
    """Bytes to unpack next: no step goes beyond the place from which on they are of one byte."""
    return min(PIECE, exact_after - given) if given < exact_after else 1


def _gzip(source: Source, exact_after: int) -> Iterator[bytes]:
    raw, given = source.read(), 0
    while raw := raw.lstrip(b"\0") or source.read():  # zero bytes between and after members are padding
        if not raw.strip(b"\0"):
            continue
        decoder = zlib.decompressobj(wbits=31)
        while not decoder.eof:
            raw = raw or source.read()
            if not raw:
                raise EOFError(CUT)
            data = decoder.decompress(raw, _most(given, exact_after))
            raw = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            given += len(data)
            if data:
                yield data


def _blocks(source: Source, exact_after: int, make: Callable[[], Any]) -> Iterator[bytes]:
    """bzip2 and xz: one stream after the other."""
    raw, given = source.read(), 0
    while raw := raw.lstrip(b"\0") or source.read():
        if not raw.strip(b"\0"):
            continue
        decoder = make()
        while not decoder.eof:
            if decoder.needs_input and not raw:
                raw = source.read()
                if not raw:
                    raise EOFError(CUT)
            data = decoder.decompress(raw, _most(given, exact_after))
            raw = b""
            given += len(data)
            if data:
                yield data
        raw = decoder.unused_data


def _arrow(source: Source, exact_after: int, codec: str) -> Iterator[bytes]:
    """pyarrow has zstd and lz4, reads frames one after the other and tells when the last one is cut."""
    arrow = extra("pyarrow")
    given = 0
    with arrow.CompressedInputStream(arrow.PythonFile(source, mode="r"), codec) as stream:
        while data := stream.read(_most(given, exact_after)):
            given += len(data)
            yield data


def _plain(source: Source, _: int) -> Iterator[bytes]:
    while data := source.read():
        yield data


DECOMPRESSORS: dict[str, Pieces] = {
    ".gz": _gzip,
    ".tgz": _gzip,
    ".bz2": partial(_blocks, make=bz2.BZ2Decompressor),
    ".xz": partial(_blocks, make=partial(lzma.LZMADecompressor, memlimit=XZ_MEMORY)),
    ".zst": partial(_arrow, codec="zstd"),
    ".lz4": partial(_arrow, codec="lz4"),
}
"""By a file's ending."""

MAGIC = re.compile(
    rb"(?P<gz>\x1f\x8b\x08)|(?P<zst>\x28\xb5\x2f\xfd)|(?P<lz4>\x04\x22\x4d\x18)|(?P<xz>\xfd7zXZ\0)|"
    rb"(?P<bz2>BZh[1-9](?:1AY&SY|\x17rE8P\x90))"
)
CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
BEGINNING = 512
"""Bytes of a file that tell how it is compressed."""


def compression(beginning: bytes, suffix: str) -> str:
    """The ending that a file should have. Servers and browsers unpack files, or pack them, and leave their names."""
    if match := MAGIC.match(beginning):
        return f".{match.lastgroup}"
    is_plain = beginning[257:262] == b"ustar" or (beginning and not CONTROL.search(beginning))
    return "" if suffix in DECOMPRESSORS and is_plain else suffix


class Stream(io.BufferedReader):
    """Unpacked bytes. What is read of it before an error is all that there is."""

    raw: Unpacked

    def __init__(self, stream: BinaryIO, suffix: str):
        super().__init__(Unpacked(stream, DECOMPRESSORS.get(suffix, _plain)), PIECE)

    @property
    def unpacked(self) -> int:
        """How many bytes came out of the file, read or not."""
        return self.raw.count

    @property
    def packed(self) -> int:
        """How many bytes of the file were read for them; near damage to within ``FINE``."""
        return self.raw.used

    def position(self, taken: int) -> int:
        """About how many bytes of the file the first ``taken`` unpacked bytes were made of."""
        return self.packed * taken // self.unpacked if self.unpacked else 0

    def drain(self) -> int:
        """Read what is left and forget it; how many bytes. Raises one of ``BROKEN``."""
        size = 0
        while data := self.read(PIECE):
            size += len(data)
        return size
