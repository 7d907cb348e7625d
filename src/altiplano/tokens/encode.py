"""From curated documents to a tokenizer and token shards.

Each file of documents is encoded by a task of its own, into pieces by split, domain and language; then the pieces of a
group are joined, in the order of the files, to shards of at most ``SHARD_TOKENS``. Every task writes its files and last
a list of them, so that a run that was killed goes on with the tasks whose lists are missing.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from altiplano import storage
from altiplano.execution.base import Engine
from altiplano.execution.local import InProcess
from altiplano.execution.map_shards import map_shards
from altiplano.optional_imports import extra
from altiplano.records import Audit
from altiplano.tokens.shards import Shard, ShardWriter, join_shards, read_shards, token_dtype, write_list
from altiplano.tokens.tokenizer import Tokenizer

DocumentRow = dict[str, Any]
BATCH = 512

SHARD_TOKENS = 1 << 30
"""Of training text: 4 GiB. Held-out text of a group is one shard."""

PIECES, JOINED = "pieces", "joined"


def document_files(folder: Path) -> list[Path]:
    """The files of a curated folder, in their order."""
    return storage.listed(folder / "documents", "*.parquet")


def documents(files: list[Path], split: str | None = None) -> Iterator[DocumentRow]:
    """Kept documents (text, domain, language, split, words), in the order of their files."""
    parquet = extra("pyarrow.parquet")
    columns = ["text", "domain", "language", "split", "words"]
    for file in files:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=BATCH, columns=columns):
            for row in batch.to_pylist():
                if row["split"] and split in (None, row["split"]):
                    yield row


def sample_texts(folder: Path, limit: int) -> list[str]:
    """Training texts to learn the vocabulary from: each domain × language gives its share of ``limit`` bytes."""
    kept = {(k.domain, k.language): k.bytes for k in Audit.read(folder / "audit.json").kept if k.split == "train"}
    total = sum(kept.values())
    left = {group: limit * size / total for group, size in kept.items()} if total else {}
    texts = []
    for row in documents(document_files(folder), "train"):
        group = (row["domain"], row["language"])
        if left.get(group, 0) > 0:
            texts.append(row["text"])
            left[group] -= len(row["text"].encode())
            if left[group] <= 0 and max(left.values()) <= 0:
                break
    return texts


@dataclass(frozen=True)
class JoinTask:
    """Pieces that make one shard. ``path`` is without its ending; ``listed`` is written last."""

    path: Path
    listed: Path
    pieces: tuple[Shard, ...]
    size: int


def encode_documents(source: Path, tokenizer: Path, folder: Path, engine: Engine) -> list[Shard]:
    """Write shards per split, domain and language into ``folder``, with ``shards.json``; return them.

    ``tokenizer`` is the folder of one. Any number of workers writes the same bytes.
    """
    if not (folder / "shards.json").exists():
        _write_shards(document_files(source), tokenizer, folder, engine)
    for name in (PIECES, JOINED):
        storage.remove_tree(folder / name)
    return [shard for split in ("heldout", "train") for shard in read_shards(folder, split)]


def _write_shards(files: list[Path], tokenizer: Path, folder: Path, engine: Engine) -> None:
    pieces = folder / PIECES
    threads = None if isinstance(engine, InProcess) else 1
    encode = partial(_encode, tokenizer=tokenizer, pieces=pieces, threads=threads)
    map_shards("tokenizing", encode, files, partial(_list_of, pieces), lambda file: file.stat().st_size, engine)
    tasks = _join_tasks([piece for file in files for piece in _read_list(_list_of(pieces, file), pieces)], folder)
    map_shards("token shards", _join, tasks, lambda task: task.listed, lambda task: task.size, engine)
    shards = [shard for task in tasks for shard in _read_list(task.listed, folder)]
    write_list(folder, shards, Tokenizer.load(tokenizer).vocab_size)


def _list_of(pieces: Path, file: Path) -> Path:
    return pieces / f"{file.stem}.json"


def _write_list(path: Path, shards: list[Shard], root: Path) -> None:
    storage.write_json(path, [asdict(shard) | {"path": str(shard.path.relative_to(root))} for shard in shards])


def _read_list(path: Path, root: Path) -> list[Shard]:
    return [Shard(**listed | {"path": root / listed["path"]}) for listed in storage.read_json(path)]


def _encode(file: Path, tokenizer: Path, pieces: Path, threads: int | None) -> None:
    """The pieces of one file of documents, and last their list."""
    encoder = Tokenizer.load(tokenizer)
    dtype = token_dtype(encoder.vocab_size)
    writers: dict[tuple[str, str, str], ShardWriter] = {}
    rows = documents([file])
    while batch := list(islice(rows, BATCH)):
        for row, tokens in zip(batch, encoder.encode_batch([row["text"] for row in batch], threads), strict=True):
            key = (row["split"], row["domain"], row["language"])
            if key not in writers:
                writers[key] = ShardWriter(pieces / file.stem / key[0] / f"{key[1]}.{key[2]}", dtype)
            writers[key].add([encoder.bos, *tokens, encoder.eos], len(row["text"].encode()), row.get("words", 0))
    _write_list(_list_of(pieces, file), [writer.close(*key) for key, writer in sorted(writers.items())], pieces)


def _join_tasks(pieces: list[Shard], folder: Path) -> list[JoinTask]:
    """Groups in the order of their names; within one the pieces as they come."""
    shards: dict[tuple[str, str], list[list[Shard]]] = {}
    filled: Counter[tuple[str, str]] = Counter()
    for piece in pieces:
        group = piece.split, piece.name
        of_group = shards.setdefault(group, [[]])
        if piece.split == "train" and of_group[-1] and filled[group] + piece.tokens > SHARD_TOKENS:
            of_group.append([])
            filled[group] = 0
        of_group[-1].append(piece)
        filled[group] += piece.tokens
    tasks = []
    for (split, name), parts in sorted(shards.items()):
        for number, part in enumerate(parts):
            stem = f"{name}-{number:05d}" if len(parts) > 1 else name
            size = sum(piece.tokens for piece in part)
            listed = folder / JOINED / f"{split}.{stem}.json"
            tasks.append(JoinTask(folder / split / stem, listed, tuple(part), size))
    return tasks


def _join(task: JoinTask) -> None:
    if not task.listed.exists():  # else its pieces may be gone: an attempt before this one failed while it removed them
        _write_list(task.listed, [join_shards(task.path, task.pieces)], task.listed.parents[1])
    for piece in task.pieces:  # not both for longer than it takes
        piece.remove()
