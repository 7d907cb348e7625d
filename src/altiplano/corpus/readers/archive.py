"""The files inside a tar or zip archive, or a plain file, without trusting their names or sizes.

Nothing is ever unpacked to disk. Only regular files are read: links and devices inside archives are passed over.
"""

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from altiplano.corpus.readers.opening import BROKEN, File, bare, open_raw
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, BadRecord

DAMAGED = (*BROKEN, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)
Member = tuple[str, bytes] | BadRecord


def is_archive(name: str) -> bool:
    return bare(name).lower().endswith((".tar", ".tgz", ".zip"))


def members(file: File, place: str, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """``(name, contents)`` of every wanted regular file; a plain file is its own only member."""
    if not is_archive(file.name):
        if wanted(bare(file.name)):
            yield from _plain(file, place)
        return
    try:
        with open_raw(file) as stream:
            yield from unpack(stream, file.name, place, wanted)
    except DAMAGED as error:
        yield BadRecord("unreadable file", f"{place}: {getattr(error, 'strerror', None) or error}")


def unpack(stream: BinaryIO, name: str, place: str, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """The wanted members of a tar archive (already decompressed) or a zip archive."""
    try:
        if name.lower().endswith(".zip"):
            with zipfile.ZipFile(stream) as archive:
                for info in archive.infolist():
                    # the high half of the attributes is the Unix mode; 0o12 says symbolic link
                    if not info.is_dir() and info.external_attr >> 28 != 0o12 and wanted(info.filename):
                        yield _member(info.filename, info.file_size, partial(archive.open, info), place)
            return
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                if entry.isfile() and wanted(entry.name):
                    yield _member(entry.name, entry.size, partial(tar.extractfile, entry), place)
    except DAMAGED as error:
        yield BadRecord("damaged archive, the rest is lost", f"{place}: {error}")


def _member(name: str, size: int, opened: Callable[[], object], place: str) -> Member:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        return BadRecord("archive member with an unsafe path", f"{place}: {name}")
    if size > MAX_RECORD_BYTES:
        return BadRecord(TOO_LONG, f"{place}: {name}")
    with cast(BinaryIO, opened()) as stream:
        data = stream.read(MAX_RECORD_BYTES + 1)  # a zip's own word about its sizes is not to be trusted
    return BadRecord(TOO_LONG, f"{place}: {name}") if len(data) > MAX_RECORD_BYTES else (f"{place}/{path}", data)


def _plain(file: File, place: str) -> Iterator[Member]:
    try:
        with open_raw(file) as stream:
            data = stream.read(MAX_RECORD_BYTES + 1)
    except BROKEN as error:
        yield BadRecord("unreadable file", f"{place}: {getattr(error, 'strerror', None) or error}")
        return
    if len(data) > MAX_RECORD_BYTES:
        yield BadRecord(TOO_LONG, place)
    else:
        yield place, data
