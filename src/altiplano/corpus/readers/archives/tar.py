"""The members of a tar archive from a stream, with every byte accounted for.

Python's tarfile ends an archive without a word at the first damaged header, and reads on for minutes towards the end
of a member that claims 10^15 bytes. Here reading continues at the next header whose checksum holds.
"""

import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from altiplano.corpus.readers.archives.decompression import PIECE, Stream

BLOCK = tarfile.BLOCKSIZE
LONG_NAME, PAX = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK), (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
NO_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
EXTENSIONS = (*LONG_NAME, *PAX, tarfile.XGLTYPE)
MAX_EXTENSION = 2**20
"""Bytes of a header that goes on in blocks of its own."""

HEADERS, PADDING = "tar headers", "tar padding"


@dataclass(frozen=True)
class TarMember:
    """``data`` is None for a member that was not asked for or is too long; ``is_cut`` where the archive ended in it.
    ``size`` is how many bytes of it there were."""

    name: str
    kind: bytes
    claimed: int
    size: int
    data: bytes | None
    is_cut: bool = False


@dataclass(frozen=True)
class Skipped:
    """Bytes that are no header where one should be; none where the archive was cut off between members. They are
    ``zeros`` between two archives written one after the other, or where a disk lost what it had."""

    size: int
    zeros: bool = False


class TarReader:
    """``framing``: bytes of headers and padding so far."""

    def __init__(self, stream: Stream):
        self._stream = stream
        self.framing: Counter[str] = Counter()

    def members(self, wanted: Callable[[str, bytes], bool], longest: int) -> Iterator[TarMember | Skipped]:
        """``wanted(name, kind)`` says whether a member's data is read. Raises one of ``BROKEN``."""
        skipped = zeros = 0
        extended: dict[str, str] = {}
        while block := self._stream.read(BLOCK):
            if not block.strip(b"\0"):
                zeros += len(block)
                continue
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except (tarfile.HeaderError, ValueError):
                skipped += len(block)
                continue
            if zeros:
                yield Skipped(zeros, zeros=True)
            if skipped:
                yield Skipped(skipped)
            skipped = zeros = 0
            self.framing[HEADERS] += len(block)
            if header.type in EXTENSIONS:
                extended |= self._extension(header)
                continue
            name, size = extended.pop("path", header.name), int(extended.pop("size", header.size))
            extended.clear()
            yield self._member(name, header.type, max(size, 0), longest, wanted(name, header.type))
        self.framing[PADDING] += zeros
        if skipped or not zeros:  # two blocks of zeros end an archive
            yield Skipped(skipped)

    def _member(self, name: str, kind: bytes, claimed: int, longest: int, is_wanted: bool) -> TarMember:
        if kind in NO_DATA:
            claimed = 0  # a link's size is that of what it points at
        keep = is_wanted and claimed <= longest
        parts, size = [], 0
        while size < claimed and (data := self._stream.read(min(PIECE, claimed - size))):
            size += len(data)
            if keep:
                parts.append(data)
        self.framing[PADDING] += len(self._stream.read(-size % BLOCK)) if size == claimed else 0
        return TarMember(name, kind, claimed, size, b"".join(parts) if keep else None, size < claimed)

    def _extension(self, header: tarfile.TarInfo) -> dict[str, str]:
        """What a header of GNU tar's or pax's says about the member after it."""
        data = self._stream.read(min(max(header.size, 0), MAX_EXTENSION))
        data_and_padding = len(data) + len(self._stream.read(-len(data) % BLOCK))
        self.framing[HEADERS] += data_and_padding
        if header.type == tarfile.GNUTYPE_LONGNAME:
            return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
        return _pax(data) if header.type in PAX else {}


def _pax(data: bytes) -> dict[str, str]:
    """``30 path=a/long/name`` lines: each begins with its own length."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        digits, _, _ = data[at : at + 20].partition(b" ")
        if not digits.isdigit() or not int(digits):
            break
        key, _, value = data[at + len(digits) + 1 : at + int(digits) - 1].partition(b"=")
        if key == b"path" or (key == b"size" and value.isdigit()):
            found[key.decode()] = value.decode("utf-8", "surrogateescape")
        at += int(digits)
    return found
