"""Token shards on disk: a flat array of tokens and, beside it, where each document lies.

``NAME.bin`` holds the tokens (uint16, or int32 above 65,536), ``NAME.idx`` Megatron's index (lengths and byte offsets
of the documents), ``NAME.bytes.npy`` the UTF-8 bytes of each document's text. ``shards.json`` lists them all.
"""

import hashlib
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

    @cached_property
    def _index(self) -> tuple[type[np.generic], np.ndarray, np.ndarray]:
        file = self.path.with_name(self.path.name + ".idx")
        raw = _read(file)
        if len(raw) < HEADER.size or raw[:9] != MAGIC:
            raise InputError(f"{file} is not a token index; tokenize again")
        _, _, code, sequences, _ = HEADER.unpack_from(raw)
        if code not in DTYPES or len(raw) != HEADER.size + 12 * sequences + 8 * (sequences + 1):
            raise InputError(f"{file} is damaged; tokenize again")
        lengths = np.frombuffer(raw, np.int32, sequences, HEADER.size)
        offsets = np.frombuffer(raw, np.int64, sequences, HEADER.size + 4 * sequences)
        dtype = DTYPES[code]
        return dtype, lengths, offsets // np.dtype(dtype).itemsize

    @cached_property
    def data(self) -> np.ndarray:
        """All tokens, memory-mapped. Raises InputError when the file is missing or not as long as its index says."""
        file = self.path.with_name(self.path.name + ".bin")
        dtype = self._index[0]
        try:
            data = np.memmap(file, dtype=dtype, mode="r")
        except (OSError, ValueError) as error:
            raise InputError(f"{file} cannot be read ({error}); tokenize again") from error
        if len(data) != self.tokens:
            raise InputError(f"{file} has {len(data):,} tokens, its manifest says {self.tokens:,}; tokenize again")
        return data

    @cached_property
    def document_bytes(self) -> np.ndarray:
        """UTF-8 bytes of each document's text [documents]."""
        return np.load(self.path.with_name(self.path.name + ".bytes.npy"))

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document [documents], int32."""
        return self._index[1]

    @property
    def dtype(self) -> type[np.generic]:
        return self._index[0]

    def remove(self) -> None:
        for ending in ENDINGS:
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def __len__(self) -> int:
        return self.documents

    def begin(self, number: int) -> int:
        """Tokens before a document."""
        return int(self._index[2][number])

    def document(self, number: int) -> np.ndarray:
        """Tokens of one document with its begin and end tokens (int64)."""
        _, lengths, offsets = self._index
        return self.data[offsets[number] : offsets[number] + lengths[number]].astype(np.int64)


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


def verify_shards(folder: Path) -> None:
    """Raise InputError, naming the file, when a token file is missing or not what was written."""
    for shard in _listed(folder):
        file = folder / (shard.path + ".bin")
        try:
            sound = digest(file) == shard.sha256
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror}); tokenize again") from error
        if not sound:
            raise InputError(f"{file} is not what tokenize wrote (sha256 differs); tokenize again")


def _listed(folder: Path) -> list[ShardEntry]:
    file = folder / "shards.json"
    try:
        return ShardList.read(file).shards
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); tokenize again") from error
    except Damaged as error:
        raise InputError(f"{file} is damaged ({error}); tokenize again") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); tokenize again") from error
