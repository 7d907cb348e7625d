"""The members of a zip archive that was cut off and so has lost the directory at its end.

Each member has a header of its own before its contents, which says enough to read it.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from altiplano.corpus.readers.raw import MAX_RECORD_BYTES

HEADER = struct.Struct("<4s5H3L2H")
"""Signature, version, flags, method, time, date, CRC-32, packed and unpacked size, lengths of the name and of more."""

START = b"PK\3\4"
ENCRYPTED, SIZES_FOLLOW, UTF_8 = 1, 8, 0x800
STORED, DEFLATED = 0, 8
PIECE = 64 * 2**10
DESCRIPTOR = 24
"""Bytes after a member's contents, at most, where its sizes follow it."""


@dataclass(frozen=True)
class ZipMember:
    """From ``begin`` to ``end`` in the archive, of ``unpacked`` bytes. ``data`` is None where it was not wanted, is
    damaged or too long."""

    name: str
    begin: int
    end: int
    unpacked: int
    data: bytes | None


def members(packed: BinaryIO, wanted: Callable[[str], bool]) -> Iterator[ZipMember]:
    """Up to the first one whose end cannot be told."""
    at = 0
    while True:
        packed.seek(at)
        raw = packed.read(HEADER.size)
        if len(raw) < HEADER.size or not raw.startswith(START):
            return
        _, _, flags, method, _, _, checksum, size, _, name_size, more_size = HEADER.unpack(raw)
        name = packed.read(name_size).decode("utf-8" if flags & UTF_8 else "cp437", "replace")
        packed.seek(more_size, 1)
        begin = packed.tell()
        data: bytes | None = None
        if method == DEFLATED and not flags & ENCRYPTED:
            data, end = _inflated(packed, None if flags & SIZES_FOLLOW else begin + size)
        elif flags & SIZES_FOLLOW:
            return
        else:
            end = begin + size
            if method == STORED and not flags & ENCRYPTED and size <= MAX_RECORD_BYTES:
                data = packed.read(size)
                end = end if len(data) == size else -1
        if end < 0:
            return
        if flags & SIZES_FOLLOW:
            packed.seek(end)
            after = packed.read(DESCRIPTOR + len(START))
            checksum = struct.unpack_from("<L", after, 4 * after.startswith(b"PK\7\x08"))[0] if len(after) > 8 else 0
            following = [place for mark in (START, b"PK\1\2") if (place := after.find(mark)) > 0]
            end += min(following, default=len(after))
        is_whole = data is not None and len(data) <= MAX_RECORD_BYTES and zlib.crc32(data) == checksum
        yield ZipMember(name, at, end, len(data or b""), data if is_whole and wanted(name) else None)
        at = end


def _inflated(packed: BinaryIO, known_end: int | None) -> tuple[bytes, int]:
    """The contents, or more than a record may have, and where they end; -1 where that cannot be told."""
    decoder, parts, size = zlib.decompressobj(-15), [], 0
    try:
        while not decoder.eof and size <= MAX_RECORD_BYTES:
            raw = decoder.unconsumed_tail or packed.read(PIECE)
            if not raw:
                return b"", -1
            parts.append(decoder.decompress(raw, PIECE))
            size += len(parts[-1])
    except zlib.error:
        return b"", -1 if known_end is None else known_end
    end = packed.tell() - len(decoder.unused_data) if decoder.eof else known_end
    return b"".join(parts), -1 if end is None else end
