"""Token shards on disk: a flat array of tokens and, beside it, where each document lies.

``NAME.bin`` holds the tokens (uint16, or int32 above 65,536), ``NAME.idx`` Megatron's index (lengths and byte offsets
of the documents), ``NAME.bytes.npy`` the UTF-8 bytes of each document's text. ``shards.json`` lists them all.
"""

import hashlib
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from altiplano.errors import InputError
from altiplano.records import ShardEntry, ShardList
from altiplano.storage import Damaged, digest, sync

MAGIC = b"MMIDIDX\x00\x00"
HEADER = struct.Struct("<9sQBQQ")
ENDINGS = (".bin", ".idx", ".bytes.npy")
COPY_BYTES = 1 << 24
DTYPES: dict[int, type[np.generic]] = {8: np.uint16, 4: np.int32}
BEGIN_BYTES = 1 << 32
"""Of token files that are read again when training begins, which is often: all of 15T tokens would take a day."""


def token_dtype(vocabulary: int) -> type[np.generic]:
    return np.uint16 if vocabulary <= 65536 else np.int32


@dataclass(frozen=True)
class Shard:
    """Documents of one split, domain and language: all of them, or some of the very many of training. ``path`` is
    without its ending."""

    path: Path
    split: str
    domain: str
    language: str
    documents: int
    tokens: int
    bytes: int
    words: int = 0
    """In the texts: runs of letters and digits, single characters in scripts without spaces; 0 when not counted."""
    sha256: str = ""
    """Of the token file, as listed in ``shards.json``; empty until then."""

    @property
    def name(self) -> str:
        return f"{self.domain}.{self.language}"

    def file(self, ending: str) -> Path:
        """One of the shard's files: ``.bin``, ``.idx`` or ``.bytes.npy``."""
        return self.path.with_name(self.path.name + ending)

    @cached_property
    def _header(self) -> tuple[type[np.generic], int]:
        """Type of the tokens and number of documents: 34 bytes are read, whatever the size of the index."""
        file = self.file(".idx")
        try:
            with file.open("rb") as opened:
                raw = opened.read(HEADER.size)
                size = opened.seek(0, 2)
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror}); tokenize again") from error
        if len(raw) < HEADER.size or raw[:9] != MAGIC:
            raise InputError(f"{file} is not a token index; tokenize again")
        _, _, code, documents, _ = HEADER.unpack(raw)
        if code not in DTYPES or size != index_size(documents):
            raise InputError(f"{file} is damaged; tokenize again")
        return DTYPES[code], documents

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each document [documents], int32, memory-mapped."""
        return np.memmap(self.file(".idx"), np.int32, "r", HEADER.size, (self._header[1],))

    @cached_property
    def _offsets(self) -> np.ndarray:
        """Bytes before each document [documents], int64, memory-mapped."""
        documents = self._header[1]
        return np.memmap(self.file(".idx"), np.int64, "r", HEADER.size + 4 * documents, (documents,))

    def mapped(self) -> np.ndarray:
        """All tokens, memory-mapped as long as the caller keeps them. Raises InputError when the file is missing or not
        as long as its index says."""
        file, dtype = self.file(".bin"), self.dtype
        try:
            data = np.memmap(file, dtype=dtype, mode="r")
        except (OSError, ValueError) as error:
            raise InputError(f"{file} cannot be read ({error}); tokenize again") from error
        if len(data) != self.tokens:
            raise InputError(f"{file} has {len(data):,} tokens, its manifest says {self.tokens:,}; tokenize again")
        return data

    @cached_property
    def data(self) -> np.ndarray:
        """``mapped``, once and for good."""
        return self.mapped()

    @cached_property
    def document_bytes(self) -> np.ndarray:
        """UTF-8 bytes of each document's text [documents], memory-mapped."""
        return np.load(self.file(".bytes.npy"), mmap_mode="r")

    @property
    def dtype(self) -> type[np.generic]:
        return self._header[0]

    def remove(self) -> None:
        for ending in ENDINGS:
            self.file(ending).unlink(missing_ok=True)

    def __len__(self) -> int:
        return self.documents

    def begin(self, number: int) -> int:
        """Tokens before a document."""
        return int(self._offsets[number]) // np.dtype(self.dtype).itemsize

    def document(self, number: int) -> np.ndarray:
        """Tokens of one document with its begin and end tokens (int64)."""
        begin = self.begin(number)
        return self.data[begin : begin + int(self.lengths[number])].astype(np.int64)


def index_size(documents: int) -> int:
    """Bytes of an index: its header, lengths, offsets, and the numbers of Megatron's documents."""
    return HEADER.size + 12 * documents + 8 * (documents + 1)


class ShardWriter:
    """Writes one shard, document by document."""

    def __init__(self, path: Path, dtype: type[np.generic]):
        self.path, self.dtype = path, dtype
        self.lengths: list[int] = []
        self.text_bytes: list[int] = []
        self.words = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.with_name(path.name + ".bin").open("wb")

    def add(self, tokens: Sequence[int], text_bytes: int, words: int = 0) -> None:
        self._file.write(np.asarray(tokens, dtype=self.dtype).tobytes())
        self.lengths.append(len(tokens))
        self.text_bytes.append(text_bytes)
        self.words += words

    def close(self, split: str, domain: str, language: str) -> Shard:
        self._file.close()
        lengths = np.array(self.lengths, np.int32)
        _write_index(self.path, lengths, np.array(self.text_bytes, np.int64), self.dtype)
        tokens = int(lengths.sum(dtype=np.int64))
        return Shard(self.path, split, domain, language, len(lengths), tokens, sum(self.text_bytes), self.words)


def _write_index(path: Path, lengths: np.ndarray, text_bytes: np.ndarray, dtype: type[np.generic]) -> None:
    """``lengths`` (int32) and ``text_bytes`` (int64) of each document [documents]."""
    count = len(lengths)
    offsets = np.zeros(count, np.int64)
    np.cumsum(lengths[:-1], out=offsets[1:])
    offsets *= np.dtype(dtype).itemsize
    code = next(code for code, known in DTYPES.items() if known is dtype)
    header = HEADER.pack(MAGIC, 1, code, count, count + 1)
    with path.with_name(path.name + ".idx").open("wb") as index:
        index.write(header + lengths.tobytes() + offsets.tobytes() + np.arange(count + 1, dtype=np.int64).tobytes())
    np.save(path.with_name(path.name + ".bytes.npy"), text_bytes)
    for ending in ENDINGS:  # before anything says that they are there
        sync(path.with_name(path.name + ending))


def join_shards(path: Path, parts: Sequence[Shard]) -> Shard:
    """Write one shard of a group's parts, in their order, and return it with its sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    with path.with_name(path.name + ".bin").open("wb") as out:
        for part in parts:
            with part.path.with_name(part.path.name + ".bin").open("rb") as tokens:
                while piece := tokens.read(COPY_BYTES):
                    out.write(piece)
                    found.update(piece)
    lengths = np.concatenate([part.lengths for part in parts])
    _write_index(path, lengths, np.concatenate([part.document_bytes for part in parts]), parts[0].dtype)
    totals = {name: sum(getattr(part, name) for part in parts) for name in ("documents", "tokens", "bytes", "words")}
    return replace(parts[0], path=path, sha256=found.hexdigest(), **totals)


def write_list(folder: Path, shards: Sequence[Shard], vocabulary: int) -> None:
    """``shards.json``, with the sha256 of every token file."""
    listed = [
        ShardEntry(
            path=str(shard.path.relative_to(folder)),
            split=shard.split,
            domain=shard.domain,
            language=shard.language,
            documents=shard.documents,
            tokens=shard.tokens,
            bytes=shard.bytes,
            words=shard.words,
            sha256=shard.sha256 or digest(shard.path.with_name(shard.path.name + ".bin")),
        )
        for shard in sorted(shards, key=lambda shard: shard.path)
    ]
    dtype = np.dtype(token_dtype(vocabulary)).name
    ShardList(vocabulary=vocabulary, dtype=dtype, shards=listed).write(folder / "shards.json")


def read_shards(folder: Path, split: str) -> list[Shard]:
    """The shards of ``split`` (train or heldout) listed in ``folder``, in a fixed order."""
    return [
        Shard(folder / s.path, s.split, s.domain, s.language, s.documents, s.tokens, s.bytes, s.words, s.sha256)
        for s in _listed(folder)
        if s.split == split
    ]


@dataclass(frozen=True)
class ShardCheck:
    """What of a tokenized folder is as it was written: ``files`` have their sizes, and of the token files ``read``
    were read."""

    files: int
    token_files: int
    token_bytes: int
    read: int
    read_bytes: int


def verify_shards(folder: Path, limit: int | None = None) -> ShardCheck:
    """Raise InputError, naming the file, when a token file is missing or not what was written.

    The size of every file is looked at. All token files are read, or no more than ``limit`` bytes of them: those that
    are, are drawn anew each time.
    """
    listed, sizes = _listed(folder), dict[Path, int]()
    for shard in listed:
        tokens_file, index, text = (folder / (shard.path + ending) for ending in ENDINGS)
        sizes |= {file: _size(file) for file in (tokens_file, index, text)}
        for file, possible in (
            (tokens_file, [2 * shard.tokens, 4 * shard.tokens]),
            (index, [index_size(shard.documents)]),
            (text, [sizes[text]] if sizes[text] > 8 * shard.documents else []),
        ):
            if sizes[file] not in possible:
                raise InputError(f"{file} is not what tokenize wrote ({sizes[file]:,} bytes); tokenize again")
    if limit is not None:
        listed = random.sample(listed, len(listed))
    read = read_bytes = 0
    for shard in listed:
        file = folder / (shard.path + ".bin")
        if limit is not None and read_bytes + sizes[file] > limit:
            continue
        if _digest(file) != shard.sha256:
            raise InputError(f"{file} is not what tokenize wrote (sha256 differs); tokenize again")
        read, read_bytes = read + 1, read_bytes + sizes[file]
    tokens = [size for file, size in sizes.items() if file.suffix == ".bin"]
    return ShardCheck(len(sizes), len(tokens), sum(tokens), read, read_bytes)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); tokenize again") from error


def _digest(file: Path) -> str:
    try:
        return digest(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); tokenize again") from error


def _listed(folder: Path) -> list[ShardEntry]:
    file = folder / "shards.json"
    try:
        return ShardList.read(file).shards
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); tokenize again") from error
    except Damaged as error:
        raise InputError(f"{file} is damaged ({error}); tokenize again") from error
