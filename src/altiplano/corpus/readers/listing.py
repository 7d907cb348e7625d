"""Which raw files there are: listed, fingerprinted, and dealt out as shard tasks in an order that never changes.

A source's files are ordered by the hash of their name, so that the first few are a fair sample of all. A limit of the
source (``max_documents``, ``max_bytes``) is dealt to its tasks in proportion to their size on disk; a task reads its
files in order until its share is used up (the document that crosses it is still read).
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from altiplano.corpus.readers import opening
from altiplano.corpus.readers.formats import installed_python
from altiplano.corpus.readers.opening import is_remote
from altiplano.errors import InputError
from altiplano.recipe.schema import CorpusConfig, SourceConfig
from altiplano.storage import digest

TASK_BYTES = 2 * 2**20
"""Small files share a task up to this size on disk."""

HASHED_BYTES = 4 * 2**30
"""Inputs above this size in total are told apart by size and modification time instead of their contents."""


@dataclass(frozen=True)
class ShardTask:
    """One unit of reading: some files of one source, and its share of the source's limits."""

    number: int
    source: SourceConfig
    root: str
    files: tuple[str, ...]
    size: int
    max_documents: int | None
    max_bytes: int | None


def files_of(source: SourceConfig, root: Path) -> list[tuple[str, int]]:
    """``(path under root or URL, size)`` of the source's files, ordered by the hash of the path."""
    if source.format == "python":
        found = installed_python.files(source.path)
        if not found:
            raise InputError(f"corpus.sources {source.name!r}: this Python installation has no {source.path} to read")
    elif is_remote(source.path):
        found = [(url, size) for url, size, _ in opening.files(source)]
    else:
        if not root.is_dir():
            raise InputError(f"corpus.root: no folder {root}; set it with --set corpus.root=FOLDER")
        if Path(source.path).is_absolute() or ".." in Path(source.path).parts:
            raise InputError(f"corpus.sources {source.name!r}: path {source.path!r} must be a glob inside corpus.root")
        try:
            found = sorted(_expand(source.path, root))
        except ValueError as error:
            raise InputError(f"corpus.sources {source.name!r}: path {source.path!r}: {error}") from error
    if not found:
        where = "" if is_remote(source.path) else f" under {root}"
        raise InputError(f"corpus.sources {source.name!r}: path {source.path!r} matches no file{where}")
    return sorted(found, key=lambda file: _key(file[0]))


def _expand(pattern: str, root: Path) -> set[tuple[str, int]]:
    files: set[Path] = set()
    for match in root.glob(pattern):
        if match.is_dir():
            files.update(Path(folder) / name for folder, _, names in os.walk(match) for name in names)
        else:
            files.add(match)
    found = set()
    for path in files:
        try:
            status = path.stat()
        except OSError:  # a dangling link, or gone since it was listed
            continue
        if S_ISREG(status.st_mode):  # neither devices nor pipes
            found.add((path.relative_to(root).as_posix(), status.st_size))
    return found


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


def plan(corpus: CorpusConfig) -> list[ShardTask]:
    """Shard tasks of all sources, in the recipe's order. They do not depend on how many workers there are."""
    tasks: list[ShardTask] = []
    for source in corpus.sources:
        files = files_of(source, corpus.root)
        total = sum(size for _, size in files) or 1
        done = 0
        for names, size in _batches(files):
            quota = [
                None if limit is None else limit * (done + size) // total - limit * done // total
                for limit in (source.max_documents, source.max_bytes)
            ]
            tasks.append(ShardTask(len(tasks), source, str(corpus.root), names, size, quota[0], quota[1]))
            done += size
    return tasks


def _batches(files: list[tuple[str, int]]) -> list[tuple[tuple[str, ...], int]]:
    batches: list[tuple[list[str], int]] = []
    for name, size in files:
        if batches and batches[-1][1] + size <= TASK_BYTES:
            batches[-1] = ([*batches[-1][0], name], batches[-1][1] + size)
        else:
            batches.append(([name], size))
    return [(tuple(names), size) for names, size in batches]


def inputs(corpus: CorpusConfig) -> dict[str, Any]:
    """Every raw input file with what identifies its contents, for ``inputs.json``."""
    local = [source for source in corpus.sources if source.format != "python" and not is_remote(source.path)]
    listed = {source.name: files_of(source, corpus.root) for source in local}
    hashed = sum(size for files in listed.values() for _, size in files) <= HASHED_BYTES
    found: dict[str, Any] = {}
    for name, files in listed.items():
        found[name] = [_describe(corpus.root, path, size, hashed) for path, size in sorted(files)]
    for source in corpus.sources:
        if source.format == "python":
            found[source.name] = installed_python.installation()
        elif is_remote(source.path):
            found[source.name] = [
                {"path": url, "size": size, "version": version} for url, size, version in opening.files(source)
            ]
    result: dict[str, Any] = {"identified_by": "sha256" if hashed else "modification time", "sources": found}
    if lists := sorted({source.blocklist for source in corpus.sources if source.blocklist}):
        result["blocklists"] = [_describe_list("corpus.sources.blocklist", corpus.root, path) for path in lists]
    if words := corpus.quality.word_lists:
        result["word_lists"] = {
            language: _describe_list(f"corpus.quality.word_lists.{language}", corpus.root, str(path))
            for language, path in words.items()
        }
    return result


def _describe_list(key: str, root: Path, path: str) -> dict[str, Any]:
    try:
        return {"path": path, "sha256": digest(root / path)}
    except OSError as error:
        raise InputError(f"{key}: cannot read {path!r} under {root}: {error.strerror}") from error


def _describe(root: Path, path: str, size: int, hashed: bool) -> dict[str, Any]:
    file = root / path
    if not hashed:
        return {"path": path, "size": size, "modified_ns": file.stat().st_mtime_ns}
    try:
        return {"path": path, "size": size, "sha256": digest(file)}
    except OSError as error:  # reading it again will count it as a bad record
        return {"path": path, "size": size, "unreadable": error.strerror}


def input_fingerprint(corpus: CorpusConfig) -> str:
    """Changes when any raw input file does; raises InputError when a source has none."""
    return hashlib.sha256(json.dumps(inputs(corpus), sort_keys=True).encode()).hexdigest()
