"""Build the index of a run's token shards: one task a part, resumable at every part, in ``RUN/trace/SPLIT``.

``index.json`` says of what it is made and comes first; the index is whole when all the parts that it names are there.
"""

import fcntl
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.execution.local import processors
from altiplano.execution.map_shards import map_shards, open_engine
from altiplano.optional_imports import extra
from altiplano.recipe.units import human_bytes
from altiplano.records import CuratedFile, StageManifest, TraceIndex
from altiplano.storage import ABSENT, Damaged, digest, json_digest, listed, read_if_there, remove_temporaries
from altiplano.tokens.shards import Shard, read_shards, verify_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.trace.spelling import Spelling
from altiplano.trace.text_part import damaged, write_part

FORMAT = 1
PART_BYTES = 1 << 27
"""Of text: a task holds nearly six times as much in memory, and a search looks into every part."""

INDEX = "index.json"


@dataclass(frozen=True)
class PartTask:
    """Documents ``first`` … ``after`` - 1 of all shards in their order."""

    path: Path
    first: int
    after: int
    size: int


def index_folder(run: Path, split: str) -> Path:
    return run / "trace" / split


def part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.bin"


def shards_of(run: Path, split: str) -> list[Shard]:
    """Raises InputError when ``run`` is no run, or has no token shards."""
    if not run.is_dir():
        raise InputError(f"no run at {run}: give a run's folder, such as runs/quickstart")
    if not (run / "tokenize" / "shards.json").exists():
        raise InputError(f"{run} has no token shards: altiplano tokenize RECIPE --workspace {run}")
    return [shard for shard in read_shards(run / "tokenize", split) if shard.documents]


def build_index(run: Path, split: str = "train") -> None:
    """Build the index of ``run``'s training or held-out text, or what is missing of it; nothing when it is whole.

    One of other token shards is replaced. Raises InputError when there are no shards, one is damaged, another command
    builds the same index, or the extra ``corpus`` is not installed.
    """
    shards, folder = shards_of(run, split), index_folder(run, split)
    key = key_of(run, split, shards)
    if is_whole(folder, key, curate_hash(run)):
        return
    extra("pydivsufsort", what="altiplano trace")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        index = read_index(folder)
        if index is None or index.key != key:
            if index is not None:
                print(f"{folder} is of other token shards than {run} has: building it again", file=sys.stderr)
            for path in listed(folder, "part-*"):
                path.unlink()
            verify_shards(run / "tokenize")
        made = _plan(run, split, shards, key)
        if made != index:
            made.write(folder / INDEX)
        remove_temporaries(folder)
        _build_parts(run, folder, shards, made)


def is_whole(folder: Path, key: str, curate: str) -> bool:
    index = read_index(folder)
    if index is None or (index.key, index.curate) != (key, curate):
        return False
    return all(part_path(folder, number).exists() for number in range(len(index.parts)))


def read_index(folder: Path) -> TraceIndex | None:
    """None when there is none. Raises InputError when it is damaged."""
    try:
        return TraceIndex.read(folder / INDEX)
    except ABSENT:
        return None
    except Damaged as error:
        raise damaged(folder / INDEX, str(error)) from error


def key_of(run: Path, split: str, shards: list[Shard]) -> str:
    """Changes when the index would."""
    made_from = [(shard.name, shard.documents, shard.tokens, shard.sha256) for shard in shards]
    tokenizer = digest(run / "tokenize" / "tokenizer" / "tokenizer.json")
    return json_digest([FORMAT, PART_BYTES, split, made_from, tokenizer])


def curate_hash(run: Path) -> str:
    """Of the manifest of the curated documents, if the token shards were made of those that are there; else empty."""
    tokenized, curated = (
        read_if_there(run / stage / "manifest.json", StageManifest.read) for stage in ("tokenize", "curate")
    )
    if tokenized is None or curated is None:
        return ""
    return curated.hash if tokenized.inputs.get("curate") == curated.hash else ""


def _plan(run: Path, split: str, shards: list[Shard], key: str) -> TraceIndex:
    """Parts of about the same number of bytes, at most about ``PART_BYTES``."""
    sizes = _document_bytes(shards)
    count = -(-int(sizes.sum()) // PART_BYTES)
    cuts = np.searchsorted(sizes.cumsum(), [sizes.sum() * part // count for part in range(count)])
    edges = sorted({*cuts.tolist(), len(sizes)})
    curate = curate_hash(run)
    return TraceIndex(
        split=split,
        key=key,
        parts=list(pairwise(edges)),
        curate=curate,
        files=_curated_files(run / "curate", split) if curate else [],
    )


def _curated_files(curated: Path, split: str) -> list[CuratedFile]:
    found = []
    for path in listed(curated / "documents", "*.parquet"):
        groups: Counter[str] = Counter()
        for batch in files.read_batches(path, ["domain", "language", "split"]):
            for row in batch.to_pylist():
                if row["split"] == split:
                    groups[f"{row['domain']}.{row['language']}"] += 1
        found.append(CuratedFile(name=path.name, documents=dict(sorted(groups.items()))))
    return found


def _build_parts(run: Path, folder: Path, shards: list[Shard], index: TraceIndex) -> None:
    sizes = _document_bytes(shards)
    tasks = [
        PartTask(part_path(folder, number), first, after, int(sizes[first:after].sum()))
        for number, (first, after) in enumerate(index.parts)
    ]
    todo = [task for task in tasks if not task.path.exists()]
    if not todo:
        return
    size = sum(task.size for task in todo)
    print(
        f"building an index of {human_bytes(size)} of text in {folder}: {human_bytes(5 * size)} on disk, once",
        file=sys.stderr,
    )
    work = partial(_write, run=run, split=index.split, key=index.key)
    with open_engine("local", min(len(todo), processors())) as engine:
        map_shards("index", work, tasks, lambda task: task.path, lambda task: task.size, engine)


def _document_bytes(shards: list[Shard]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *(shard.document_bytes for shard in shards)])


def _write(task: PartTask, run: Path, split: str, key: str) -> None:
    spelling = Spelling(Tokenizer.load(run / "tokenize" / "tokenizer"))
    documents = (spelling.spell(tokens.tolist()) for tokens in _documents(shards_of(run, split), task))
    write_part(task.path, bytes.fromhex(key), documents)


def _documents(shards: list[Shard], task: PartTask) -> Iterator[np.ndarray]:
    before = 0
    for shard in shards:
        for number in range(max(0, task.first - before), min(shard.documents, task.after - before)):
            yield shard.document(number)
        before += shard.documents


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second command from building the same index."""
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another command is building the index in {folder}: wait for it") from error
        except OSError:  # a file system without locks: two commands would write the same bytes
            pass
        yield
