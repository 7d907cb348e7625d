"""The files inside a tar archive, a folder's file or a compressed file, without trusting their names or sizes."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from altiplano.corpus.sources.raw import MAX_RECORD_BYTES, Bad

TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error)


def members(path: Path, place: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes] | Bad]:
    """``(name, contents)`` of every wanted regular file; a plain file is its own only member."""
    if not path.name.endswith(TAR):
        if wanted(path.name.removesuffix(".gz")):
            yield from _plain(path, place)
        return
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                if not member.isfile() or not wanted(member.name):
                    continue
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts:
                    yield Bad("archive member with an unsafe path", f"{place}: {member.name}")
                elif member.size > MAX_RECORD_BYTES:
                    yield Bad("record above 64 MiB", f"{place}: {member.name}")
                else:
                    stream = archive.extractfile(member)
                    yield f"{place}/{name}", stream.read() if stream else b""
    except BROKEN as error:
        yield Bad("damaged archive, the rest is lost", f"{place}: {error}")


def _plain(path: Path, place: str) -> Iterator[tuple[str, bytes] | Bad]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            data = stream.read(MAX_RECORD_BYTES + 1)
    except BROKEN as error:
        yield Bad("unreadable file", f"{place}: {getattr(error, 'strerror', None) or error}")
        return
    if len(data) > MAX_RECORD_BYTES:
        yield Bad("record above 64 MiB", place)
    else:
        yield place, data
