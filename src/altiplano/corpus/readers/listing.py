"""Which raw files there are: listed, fingerprinted, and dealt out as shard tasks in an order that never changes.

A source's files are ordered by the hash of their name, so that the first few are a fair sample of all. A limit of the
source (``max_documents``, ``max_bytes``) is dealt to its tasks in proportion to their size on disk; a task reads its
files in order until its share is used up (the document that crosses it is still read).
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from altiplano.corpus.readers import opening
from altiplano.corpus.readers.formats import installed_python
from altiplano.corpus.readers.opening import is_remote
from altiplano.corpus.readers.raw import BadRecord, left_out
from altiplano.errors import InputError, RawFilesMissing
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
    notes: tuple[BadRecord, ...] = ()
    """Places of the source where nothing was listed, in its first task."""


def files_of(source: SourceConfig, root: Path, notes: list[BadRecord] | None = None) -> list[tuple[str, int]]:
    """``(path under root or URL, size)`` of the source's files, ordered by the hash of the path.

    ``notes`` collects what could not be listed: folders without permission, links that lead nowhere or out of root.
    """
    if source.format == "python":
        found = installed_python.files(source.path)
        if not found:
            raise InputError(f"corpus.sources {source.name!r}: this Python installation has no {source.path} to read")
    elif is_remote(source.path):
        found = [(url, size) for url, size, _ in opening.files(source)]
    else:
        if not root.is_dir():
            raise RawFilesMissing(f"corpus.root: no folder {root}; set it with --set corpus.root=FOLDER")
        if Path(source.path).is_absolute() or ".." in Path(source.path).parts:
            raise InputError(f"corpus.sources {source.name!r}: path {source.path!r} must be a glob inside corpus.root")
        try:
            found = sorted(_expand(source.path, root, [] if notes is None else notes))
        except ValueError as error:
            raise InputError(f"corpus.sources {source.name!r}: path {source.path!r}: {error}") from error
    if not found:
        where = "" if is_remote(source.path) else f" under {root}"
        raise InputError(f"corpus.sources {source.name!r}: path {source.path!r} matches no file{where}")
    return sorted(found, key=lambda file: _key(file[0]))


def _expand(pattern: str, root: Path, notes: list[BadRecord]) -> set[tuple[str, int]]:
    files: set[Path] = set()
    top = root.resolve()

    def unlisted(error: OSError) -> None:
        note = BadRecord("folder that cannot be listed", f"{error.filename}: {error.strerror}")
        if note not in notes:
            notes.append(note)

    walk(pattern, root, unlisted)
    for match in root.glob(pattern):
        if match.is_dir():
            if _is_inside(match, top, notes):
                walked = os.walk(match, onerror=unlisted)
                files.update(Path(folder) / name for folder, _, names in walked for name in names)
        else:
            files.add(match)
    found = set()
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        try:
            status = path.stat()
        except OSError as error:  # a dangling link, or gone since it was listed
            notes.append(BadRecord("unreadable file", f"{name}: {error.strerror}"))
            continue
        if not S_ISREG(status.st_mode):
            notes.append(left_out("device, pipe or socket", name))
        elif _is_inside(path, top, notes):
            found.add((name, status.st_size))
    return found


def walk(pattern: str, root: Path, unlisted: Callable[[OSError], None]) -> None:
    """Look into every folder that the pattern may match in: ``glob`` passes over those without permission."""
    parts = Path(pattern).parts
    fixed = next((at for at, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    top = root.joinpath(*parts[:fixed])
    if fixed == len(parts) or not top.exists():
        return
    for folder, names, _ in os.walk(top, onerror=unlisted):
        if "**" not in parts and len(Path(folder).relative_to(top).parts) >= len(parts) - 1 - fixed:
            names.clear()


def _is_inside(path: Path, top: Path, notes: list[BadRecord]) -> bool:
    """Whether a path is below root when its links are followed."""
    if path.resolve().is_relative_to(top):
        return True
    notes.append(left_out("link out of corpus.root", str(path)))
    return False


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


def plan(corpus: CorpusConfig) -> list[ShardTask]:
    """Shard tasks of all sources, in the recipe's order. They do not depend on how many workers there are."""
    tasks: list[ShardTask] = []
    for source in corpus.sources:
        notes: list[BadRecord] = []
        files = files_of(source, corpus.root, notes)
        total = sum(size for _, size in files) or 1
        done = 0
        for names, size in _batches(files):
            quota = [
                None if limit is None else limit * (done + size) // total - limit * done // total
                for limit in (source.max_documents, source.max_bytes)
            ]
            tasks.append(ShardTask(len(tasks), source, str(corpus.root), names, size, quota[0], quota[1], tuple(notes)))
            notes = []
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
