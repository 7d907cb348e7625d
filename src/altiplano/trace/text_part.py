"""Some documents as one text with its suffix array (Manber and Myers 1990): all places of a pattern, side by side.

A file holds both, memory-mapped: a search reads a few pages of it. Its layout, in the byte order of the machine:

    MAGIC, key (32 bytes: what it was made from), sha256 of the rest (32 bytes), bytes of text, documents (uint64)
    where each document begins, and the end        int64  [documents + 1]
    all places of the text, ordered by what follows  int32  [bytes of text]
    the text                                       uint8  [bytes of text]
"""

import hashlib
import mmap
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano.errors import InputError
from altiplano.optional_imports import extra
from altiplano.storage import publish

MAGIC = b"ALTRACE1"
HEADER = struct.Struct("<8s32s32sQQ")
PIECE = 1 << 24
MOST = 2**31 - 1
"""Bytes of text: places are int32."""
FIRST_LOOK = 64
"""Bytes that the search for a longest match compares at first; few places share so many with a text by chance."""


def write_part(path: Path, key: bytes, documents: Iterable[bytes]) -> None:
    """Publish the index of ``documents``, each of which begins with a byte that patterns do not have.

    Memory is five times their bytes. Raises InputError when they have 2 GiB or more.
    """
    text, ends = bytearray(), [0]
    for document in documents:
        text += document
        ends.append(len(text))
    if len(text) > MOST:
        raise InputError(
            f"a part of the index has {len(text):,} bytes of text, the most are {MOST:,}: a document is too long; "
            "lower corpus.quality.max_characters"
        )
    begins = np.array(ends, np.int64)
    suffixes = extra("pydivsufsort", what="altiplano trace").divsufsort(np.frombuffer(text, np.uint8))
    parts = [begins.data, suffixes.astype(np.int32, copy=False).data, memoryview(text)]
    found = hashlib.sha256()
    for part in parts:
        found.update(part)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(HEADER.pack(MAGIC, key, found.digest(), len(text), len(ends) - 1))
            for part in parts:
                file.write(part)

    publish(path, write)


class TextPart:
    """A file of ``write_part``, opened for searching."""

    def __init__(self, path: Path, key: bytes):
        """Raises InputError when the file cannot be read, is of another key, or is not as long as it says."""
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from error
        except ValueError as error:  # an empty file cannot be mapped
            raise damaged(path, "it is empty") from error
        if len(self._map) < HEADER.size:
            raise damaged(path, "it is cut short")
        magic, made_from, self._sha256, size, documents = HEADER.unpack_from(self._map)
        if magic != MAGIC or made_from != key:
            raise damaged(path, "it is of another index")
        if len(self._map) != HEADER.size + 8 * (documents + 1) + 5 * size:
            raise damaged(path, "it is cut short")
        whole = memoryview(self._map)
        self.begins = np.frombuffer(whole, np.int64, documents + 1, HEADER.size)
        """Where each document begins in the text, and the text's end [documents + 1]."""
        first = HEADER.size + 8 * (documents + 1)
        self._suffixes = whole[first : first + 4 * size].cast("i")
        self._text = whole[first + 4 * size :]
        if self.begins[0] != 0 or self.begins[-1] != size:
            raise damaged(path, "its documents are not as long as its text")

    def verify(self) -> None:
        """Raise InputError when any byte is not what was written."""
        found = hashlib.sha256()
        for at in range(HEADER.size, len(self._map), PIECE):
            found.update(self._map[at : at + PIECE])
        if found.digest() != self._sha256:
            raise damaged(self.path, "sha256 differs")

    def occurrences(self, pattern: bytes) -> range:
        """Ranks of the suffixes that begin with ``pattern``: as many as it occurs."""
        text, size = self._text, len(pattern)
        first = bisect_left(self._suffixes, pattern, key=lambda at: bytes(text[at : at + size]))
        return range(first, bisect_right(self._suffixes, pattern, first, key=lambda at: bytes(text[at : at + size])))

    def occurs(self, pattern: bytes) -> bool:
        text, size, suffixes = self._text, len(pattern), self._suffixes
        first = bisect_left(suffixes, pattern, key=lambda at: bytes(text[at : at + size]))
        return first < len(suffixes) and bytes(text[suffixes[first] : suffixes[first] + size]) == pattern

    def longest(self, pattern: bytes) -> int:
        """How many of the first bytes of ``pattern`` occur together."""
        text, suffixes, look = self._text, self._suffixes, FIRST_LOOK
        while True:
            wanted = pattern[:look]
            size = len(wanted)
            rank = bisect_left(suffixes, wanted, key=lambda at: bytes(text[at : at + size]))
            neighbours = suffixes[max(0, rank - 1) : rank + 1]
            best = max((common_prefix(wanted, bytes(text[at : at + size])) for at in neighbours), default=0)
            if best < size or size == len(pattern):
                return best
            look *= 4

    def document(self, number: int) -> bytes:
        """The bytes of one document."""
        return bytes(self._text[self.begins[number] : self.begins[number + 1]])

    def places(self, ranks: range) -> NDArray[np.int64]:
        """Where in the text the suffixes of these ranks begin, ascending."""
        return np.sort(np.frombuffer(self._suffixes[ranks.start : ranks.stop], np.int32)).astype(np.int64)


def common_prefix(one: bytes, other: bytes) -> int:
    """Bytes that both begin with."""
    most = min(len(one), len(other))
    return bisect_left(range(1, most + 1), True, key=lambda size: one[:size] != other[:size])


def damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path} is damaged ({why}): remove {path.parent}, and the next search builds the index again")
