"""The files inside a tar or zip archive, or a plain file, without trusting their names or sizes.

Nothing is ever unpacked to disk. Only regular files are read: links and devices inside archives are counted.
"""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from altiplano.corpus.readers.archives import cut_zip
from altiplano.corpus.readers.archives.decompression import BROKEN, FREE_BYTES, MAX_RATIO, Stream
from altiplano.corpus.readers.archives.tar import Skipped, TarMember, TarReader
from altiplano.corpus.readers.opening import File, bare, open_raw, size_of
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, BadRecord, FileRead, left_out, records_lost

DAMAGED = (*BROKEN, zipfile.BadZipFile, NotImplementedError, LookupError)
UNREADABLE, LOST = "unreadable file", "damaged archive, the rest is lost"
UNSAFE = "archive member with an unsafe path"
NOT_READ = "not a kind of file that this format reads"
LINK = "link or device in an archive"
MEMBER_BYTES = 16 * 2**10
"""Bytes of a member, about; used where none was read."""

ZIP_HEADER = 128
"""Bytes beside a zip member's contents, at most, as a rule."""

ZIP_SLACK = 256

Member = tuple[str, bytes] | BadRecord | FileRead
Wanted = Callable[[str], bool]


def is_archive(name: str) -> bool:
    return bare(name).lower().endswith((".tar", ".tgz", ".zip"))


def members(file: File, place: str, wanted: Wanted) -> Iterator[Member]:
    """``(name, contents)`` of every wanted regular file; a plain file is its own only member."""
    wanted = _but_not_of_macos(wanted)
    name = bare(file.name)
    try:
        if name.lower().endswith(".zip"):
            with file.open("rb") as packed:
                yield from zip_members(packed, place, wanted)
            return
        size = size_of(file)
        if is_archive(name) or wanted(name):
            with open_raw(file) as stream:
                read = _tar if is_archive(name) else _plain
                yield from _told_apart(read(stream, place, wanted, size))
            return
        yield left_out(NOT_READ, place, size)
        yield FileRead(size, {})
    except DAMAGED as error:
        yield BadRecord(UNREADABLE, f"{place}: {_why(error)}", size=size_of(file), taken=0)


def unpack(data: bytes, name: str, place: str, wanted: Wanted) -> Iterator[Member]:
    """The same of an archive inside another one, already decompressed."""
    wanted = _but_not_of_macos(wanted)
    if not name.lower().endswith(".zip"):
        return _told_apart(_tar(Stream(io.BytesIO(data), ""), place, wanted, len(data)))
    return zip_members(io.BytesIO(data), place, wanted)


def _but_not_of_macos(wanted: Wanted) -> Wanted:
    """Beside each file macOS packs ``._NAME`` with what it knows about it, under the same ending."""
    return lambda name: wanted(name) and not PurePosixPath(name).name.startswith("._")


def _plain(stream: Stream, place: str, _: Wanted, file_size: int) -> Iterator[Member]:
    try:
        data = stream.read(MAX_RECORD_BYTES + 1)
        if len(data) <= MAX_RECORD_BYTES:
            yield place, data
        else:
            size = len(data) + stream.drain()
            yield BadRecord(TOO_LONG, place, size=size)
    except BROKEN as error:
        yield BadRecord(UNREADABLE, f"{place}: {_why(error)}", size=file_size, taken=stream.unpacked)
    yield FileRead(stream.unpacked, {})


@dataclass
class _Others:
    """Members that are not read, counted together: an archive may have millions."""

    why: str
    records: int = 0
    size: int = 0
    example: str = ""

    def add(self, name: str, size: int) -> None:
        self.example = self.example or name
        self.records += 1
        self.size += size

    def counted(self, place: str) -> Iterator[BadRecord]:
        if self.records:
            yield left_out(self.why, f"{place}: {self.example}", self.size, self.records)


def _tar(stream: Stream, place: str, wanted: Wanted, file_size: int) -> Iterator[Member]:
    reader = TarReader(stream)
    others, links = _Others(NOT_READ), _Others(LINK)
    taken = number = before = 0

    def is_wanted(name: str, kind: bytes) -> bool:
        return kind in tarfile.REGULAR_TYPES and wanted(name)

    try:
        for entry in reader.members(is_wanted, MAX_RECORD_BYTES):
            if isinstance(entry, Skipped) and entry.zeros:
                yield left_out("zero bytes between members of an archive", f"{place} after member {number}", entry.size)
            elif isinstance(entry, Skipped):
                records = records_lost(entry.size, taken, number, MEMBER_BYTES)
                where = f"{place} after member {number}: no header"
                yield BadRecord("damaged archive, some of it is lost", where, records=records, size=entry.size)
            elif entry.kind not in tarfile.REGULAR_TYPES:
                if entry.kind != tarfile.DIRTYPE:
                    links.add(entry.name, entry.size)
            elif not wanted(entry.name):
                others.add(entry.name, entry.size)
            else:
                number += 1
                yield _tar_member(entry, place)
            taken += entry.size
            before = stream.position(taken + reader.framing.total())
    except BROKEN as error:
        lost = stream.unpacked - taken - reader.framing.total()
        size = max(lost, file_size - before)
        records = records_lost(file_size - before, before, number, MEMBER_BYTES)
        yield BadRecord(LOST, f"{place} after member {number}: {_why(error)}", True, records, size, lost)
    yield from others.counted(place)
    yield from links.counted(place)
    yield FileRead(stream.unpacked, dict(reader.framing))


def _tar_member(entry: TarMember, place: str) -> Member:
    where = f"{place}: {entry.name}"
    if not _is_safe(entry.name):
        return BadRecord(UNSAFE, where, size=entry.size)
    if entry.claimed > MAX_RECORD_BYTES:
        return BadRecord(TOO_LONG, where, size=entry.size)
    if entry.is_cut or entry.data is None:
        return BadRecord("archive member cut off by the end of the file", where, size=entry.size)
    return f"{place}/{PurePosixPath(entry.name)}", entry.data


def zip_members(packed: BinaryIO, place: str, wanted: Wanted) -> Iterator[Member]:
    return _told_apart(_zip(packed, place, wanted))


def _told_apart(found: Iterator[Member]) -> Iterator[Member]:
    """Members of one name, which an archive that was added to has: the second ``a.txt`` becomes ``a#2.txt``."""
    seen: dict[int, int] = {}  # how often, by hash, since there may be millions
    for member in found:
        if not isinstance(member, tuple):
            yield member
            continue
        name, number = member[0], seen.get(hash(member[0]), 0)
        while hash(name) in seen:
            number += 1
            folder, slash, last = member[0].rpartition("/")
            stem, dot, suffixes = last.partition(".")
            name = f"{folder}{slash}{stem}#{number}{dot}{suffixes}"
        seen[hash(name)] = 1
        seen[hash(member[0])] = number or 1
        yield name, member[1]


def _zip(packed: BinaryIO, place: str, wanted: Wanted) -> Iterator[Member]:
    """Sizes are of the members' contents; of one that cannot be read, of its bytes in the archive."""
    others, links = _Others(NOT_READ), _Others(LINK)
    most = _most_unpacked(packed)
    unpacked = 0
    try:
        archive = zipfile.ZipFile(packed)
    except zipfile.BadZipFile:  # its directory stands at its end
        packed.seek(0)
        if packed.read(len(cut_zip.START)) != cut_zip.START:
            raise
        yield from _zip_without_directory(packed, place, wanted)
        return
    with archive:
        infos = archive.infolist()
        yield from _unlisted(infos, archive.start_dir, place)
        for number, info in enumerate(infos):
            if info.is_dir():
                continue
            # the high half of the attributes is the Unix mode; 0o12 says symbolic link
            if info.external_attr >> 28 == 0o12:
                links.add(info.filename, 0)
            elif not wanted(info.filename):
                others.add(info.filename, 0)
            elif unpacked > most:  # members may lie over one another
                why = f"{place}: unfolds to more than {MAX_RATIO} times its size"
                yield BadRecord(LOST, why, records=len(infos) - number, taken=0)
                break
            else:
                member, size = _zip_member(archive, info, place)
                unpacked += size
                yield member
    yield from others.counted(place)
    yield from links.counted(place)
    yield FileRead(unpacked, {})


def _most_unpacked(packed: BinaryIO) -> int:
    return max(FREE_BYTES, MAX_RATIO * packed.seek(0, os.SEEK_END))


def _zip_without_directory(packed: BinaryIO, place: str, wanted: Wanted) -> Iterator[Member]:
    others = _Others(NOT_READ)
    unpacked = number = end = in_all = 0
    most = _most_unpacked(packed)
    for found in cut_zip.members(packed, lambda name: wanted(name) and _is_safe(name)):
        number, end, in_all = number + 1, found.end, in_all + found.unpacked
        if in_all > most:
            break
        if not _is_safe(found.name):
            yield BadRecord(UNSAFE, f"{place}: {found.name}", size=found.end - found.begin, taken=0)
        elif found.data is not None:
            unpacked += len(found.data)
            yield f"{place}/{PurePosixPath(found.name)}", found.data
        elif wanted(found.name):
            yield BadRecord("damaged archive member", f"{place}: {found.name}", size=found.end - found.begin, taken=0)
        elif not found.name.endswith("/"):
            others.add(found.name, 0)
    size = max(0, packed.seek(0, os.SEEK_END) - end)
    records = records_lost(size, end, number, MEMBER_BYTES)
    yield BadRecord(LOST, f"{place} after member {number}: no directory at its end", True, records, size, 0)
    yield from others.counted(place)
    yield FileRead(unpacked, {})


def _unlisted(infos: list[zipfile.ZipInfo], end: int, place: str) -> Iterator[BadRecord]:
    """Bytes before the archive's directory that are in no member of it: a damaged directory is read in part."""
    size = end - sum(info.compress_size + len(info.filename) + ZIP_HEADER for info in infos)
    if size > ZIP_SLACK:
        records = records_lost(size, 0, 0, MEMBER_BYTES)
        yield BadRecord("damaged archive, some of it is lost", f"{place}: not listed", True, records, size, 0)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str) -> tuple[Member, int]:
    """The member, and how many bytes were unpacked for it."""
    where = f"{place}: {info.filename}"
    if not _is_safe(info.filename):
        return BadRecord(UNSAFE, where, size=info.compress_size, taken=0), 0
    if info.file_size > MAX_RECORD_BYTES:
        return BadRecord(TOO_LONG, where, size=info.compress_size, taken=0), 0
    try:
        with archive.open(info) as stream:
            data = stream.read(MAX_RECORD_BYTES + 1)  # a zip's own word about its sizes is not to be trusted
    except DAMAGED as error:
        return BadRecord("damaged archive member", f"{where}: {_why(error)}", size=info.compress_size, taken=0), 0
    if len(data) > MAX_RECORD_BYTES:
        return BadRecord(TOO_LONG, where, size=len(data)), len(data)
    return (f"{place}/{PurePosixPath(info.filename)}", data), len(data)


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name)


def _why(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
