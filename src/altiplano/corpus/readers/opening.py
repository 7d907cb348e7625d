"""Open raw files, local or remote and compressed or not.

Remote files are listed through fsspec: a file, a folder or a glob on ``s3://``, ``gs://``, ``hf://``, ``https://``.
"""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from altiplano.corpus.readers.archives.decompression import BEGINNING, BROKEN, DECOMPRESSORS, Stream, compression
from altiplano.errors import InputError
from altiplano.optional_imports import extra
from altiplano.recipe.schema import SourceConfig


@dataclass(frozen=True)
class RemoteFile:
    """A file that fsspec reaches (``s3://``, ``gs://``, ``hf://``, ``https://``, ``memory://``), used like a Path."""

    url: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.url).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.url).suffix

    def open(self, mode: str = "rb") -> Any:
        return fsspec().open(self.url, mode).open()


File = Path | RemoteFile


def fsspec() -> Any:
    return extra("fsspec", "remote")


def is_remote(place: str) -> bool:
    return "://" in place


def join(root: str, name: str) -> File:
    """The file ``name`` below a local root, or a remote one by its URL."""
    return RemoteFile(name) if is_remote(name) else Path(root) / name


def open_raw(file: File) -> Stream:
    """The file's bytes, decompressed as they begin, or else as its ending says. Raises one of ``BROKEN``."""
    stream = file.open("rb")
    beginning = stream.read(BEGINNING)
    try:
        stream.seek(0)
    except BROKEN:  # of a server that sends a file only from its beginning
        stream.close()
        stream = file.open("rb")
    return Stream(stream, compression(beginning, file.suffix.lower()))


def size_of(file: File) -> int:
    """In bytes on disk or at the server; 0 where nobody knows."""
    try:
        with file.open("rb") as stream:
            return int(stream.seek(0, os.SEEK_END))
    except BROKEN:
        return 0


def bare(name: str) -> str:
    """``a/b.jsonl.gz`` → ``a/b.jsonl``; ``a.tgz`` stays an archive."""
    suffix = PurePosixPath(name.lower()).suffix
    return name[: -len(suffix)] if suffix in DECOMPRESSORS and suffix != ".tgz" else name


VERSIONS = ("ETag", "etag", "sha256", "blob_id", "generation", "mtime", "LastModified", "last_modified", "created")
"""Names that file systems give to a file's version; the first that is present counts."""


def files(source: SourceConfig) -> list[tuple[str, int, str]]:
    """``(URL, size in bytes, version)``, sorted. The version is empty where the server tells none.

    Raises InputError when the place cannot be listed.
    """
    try:
        system, path = fsspec().core.url_to_fs(source.path)
        if any(sign in source.path for sign in "*?["):
            found = system.glob(path, detail=True)
        else:
            info = system.info(path)
            found = system.find(path, detail=True) if info["type"] == "directory" else {path: info}
    except InputError:
        raise
    except Exception as error:  # every file system raises errors of its own
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(f"corpus.sources {source.name!r}: path {source.path!r} cannot be listed: {reason}") from error
    return sorted(
        (system.unstrip_protocol(name), int(info.get("size") or 0), _version(info))
        for name, info in found.items()
        if info["type"] == "file"
    )


def _version(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in VERSIONS if info.get(key)), "")
