"""Open raw files, local or remote and compressed or not, with a bound on what they may decompress to.

Remote files are listed through fsspec: a file, a folder or a glob on ``s3://``, ``gs://``, ``hf://``, ``https://``.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from altiplano.errors import InputError
from altiplano.optional_imports import extra
from altiplano.recipe.schema import SourceConfig

MAX_RATIO = 300
"""Text compresses 3 to 10 times, logs and markup up to 50; gzip reaches at most 1,032, in decompression bombs."""

FREE_BYTES = 256 * 2**20
"""Any file may decompress to this much, however small it is."""

BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, RuntimeError)
"""What a damaged, vanishing or hostile file may raise while it is read."""


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


class Counted(io.RawIOBase):
    """A compressed stream that knows how much of it was read; it need not seek, and may be a web server's."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.count = stream, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        self.count += len(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.stream.close()
        super().close()


class Unfolding(io.RawIOBase):
    """A decompressed stream that stops with an OSError where it has become ``MAX_RATIO`` times what was read for it."""

    def __init__(self, stream: Any, source: Counted):
        self.stream, self.source, self.count = stream, source, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        self.count += len(data)
        if self.count > max(FREE_BYTES, MAX_RATIO * self.source.count):
            raise OSError(f"unfolds to more than {MAX_RATIO} times its size")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.stream.close()
        self.source.close()
        super().close()


def open_raw(file: File) -> BinaryIO:
    """The file's bytes, decompressed as its ending says. Raises one of ``BROKEN``."""
    stream = file.open("rb")
    decompressor = DECOMPRESSORS.get(file.suffix.lower())
    if decompressor is None:
        return cast(BinaryIO, stream)
    return unfolding(stream, decompressor)


def decompressed(data: bytes, suffix: str) -> bytes:
    """A compressed archive member; raises one of ``BROKEN``."""
    return unfolding(io.BytesIO(data), DECOMPRESSORS[suffix]).read()


def unfolding(stream: BinaryIO, decompressor: "Callable[[BinaryIO], Any]") -> BinaryIO:
    source = Counted(stream)
    return cast(BinaryIO, io.BufferedReader(Unfolding(decompressor(cast(BinaryIO, source)), source), 1 << 18))


def _arrow(codec: str, stream: BinaryIO) -> Any:
    """pyarrow has zstd and lz4, reads frames one after the other and tells when the last one is cut."""
    arrow = extra("pyarrow")
    return arrow.CompressedInputStream(arrow.PythonFile(stream, mode="r"), codec)


DECOMPRESSORS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": partial(gzip.GzipFile, None, "rb", 9),
    ".tgz": partial(gzip.GzipFile, None, "rb", 9),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": partial(_arrow, "zstd"),
    ".lz4": partial(_arrow, "lz4"),
}
SUFFIXES = tuple(DECOMPRESSORS)


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
