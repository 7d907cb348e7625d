"""LaTeX as arXiv distributes it: single .tex files, a submission's archive, or one tar of many submissions' archives.

Files that another one includes by ``\\input``, ``\\include`` or ``\\import`` are joined with it; every other file is
one document.
"""

import io
import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from posixpath import normpath

from altiplano.corpus.extraction.latex.lexing import without_comments
from altiplano.corpus.readers.archives.archive import UNREADABLE, is_archive, members, unpack
from altiplano.corpus.readers.archives.decompression import BEGINNING, BROKEN, Stream, compression
from altiplano.corpus.readers.charsets.decoding import decode, inputenc
from altiplano.corpus.readers.opening import File, bare, size_of
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, BadRecord, FileRead, RawDocument, Record, left_out

TEX = (".tex", ".ltx", ".latex")
PACKED = (".gz", ".tgz", ".zip", ".tar")
INPUT = re.compile(
    r"(?<!\\)((?:\\\\)*+)\\(?:(?:input|include|subfile|subfileinclude)(?![A-Za-z])\s*+"
    r"(?:\{([^{}\n]++)\}|([A-Za-z0-9_./-]++))"
    r"|(?:sub)?(?:import|inputfrom|includefrom)\*?\s*+\{([^{}\n]*+)\}\s*+\{([^{}\n]++)\})"
)
"""A command that brings in a file; those of the package ``import`` name its folder first."""

MAX_DEPTH = 10
NEW_SHARE = 0.1
"""Share of new characters; a document with fewer is another edition of an earlier one."""

MAX_PROJECT_BYTES = 4 * MAX_RECORD_BYTES

Project = dict[str, bytes]
"""Path within the submission → file of LaTeX."""

Texts = dict[str, str]

INNER = "archives inside archives"


def read(path: File, place: str) -> Iterator[Record]:
    name = path.name.lower()
    if name.endswith(".gz") and not is_archive(name) and not bare(name).endswith(TEX):
        yield from _alone(path, place)
        return
    project: Project = {}
    held = 0
    for member in members(path, place, lambda name: name.lower().endswith((*TEX, *PACKED))):
        if not isinstance(member, tuple):
            yield member
            continue
        name, data = member
        if not name.lower().endswith(TEX) and not bare(name).lower().endswith(TEX) and name != place:
            yield from _submission(name, data)
            continue
        held += len(data)
        if held > MAX_PROJECT_BYTES:  # many submissions unpacked side by side; their files do follow one another
            yield from _documents(project)
            project, held = {}, len(data)
        project[name] = data
    yield from _documents(project)


def _alone(path: File, place: str) -> Iterator[Record]:
    """``2401.00001.gz``, as arXiv hands out one submission."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(MAX_RECORD_BYTES + 1)
    except BROKEN as error:
        yield BadRecord(UNREADABLE, f"{place}: {error}", size=size_of(path), taken=0)
        return
    if len(packed) <= MAX_RECORD_BYTES:
        yield from _submission(place, packed)
    else:
        yield BadRecord(TOO_LONG, place, size=len(packed))
    yield FileRead(len(packed), {})


def _submission(name: str, packed: bytes) -> Iterator[Record]:
    """``2401.00001.gz`` of a big tar: itself a tar, or one compressed file."""
    inner, data = name, packed
    if name.lower().endswith((".gz", ".tgz")):
        stream = Stream(io.BytesIO(packed), compression(packed[:BEGINNING], ".gz"))
        try:
            data = stream.read()
        except BROKEN as error:
            yield BadRecord("damaged submission", f"{name}: {error}", size=len(packed))
            return
        inner = name.lower().removesuffix(".gz")
    is_tar = data[257:262] == b"ustar"
    if not is_tar and not inner.endswith(".zip"):
        if b"\\documentclass" in data or b"\\begin" in data or b"\\section" in data:
            for record in _documents({name: data}):
                yield replace(record, taken=len(packed)) if isinstance(record, RawDocument) else record
        else:
            yield left_out("submission without LaTeX", name, len(packed))
        return
    project: Project = {}
    yield FileRead(0, {INNER: len(packed)})
    for member in unpack(data, inner, name, lambda each: each.lower().endswith(TEX)):
        if isinstance(member, tuple):
            project[member[0]] = member[1]
        else:
            yield member
    yield from _documents(project)


def _decoded(project: Project) -> Generator[BadRecord, None, Texts]:
    """A part of a document without a declaration is in the charset of the file that brings it in."""
    declared = [label for data in project.values() if (label := inputenc(data))]
    texts: Texts = {}
    for name, data in project.items():
        text, repair = decode(data, inputenc(data) or next(iter(declared), None))
        if repair:
            yield BadRecord(repair, name, lost=False, taken=0)
        texts[name] = without_comments(text.replace("\r\n", "\n"))  # an \input that is commented out includes nothing
    return texts


def _documents(files: Project) -> Iterator[RawDocument | BadRecord]:
    project = yield from _decoded(files)
    brought = {target for name, text in project.items() for target in _inputs(project, name, text)}
    # files that all include each other have no root among them
    roots = [name for name in project if name not in brought] + sorted(brought)
    used: set[str] = set()
    for name in roots:
        if name in used:
            continue
        parts = {name}
        text = _joined(project, name, (name,), [MAX_RECORD_BYTES], parts)
        size = sum(len(files[part]) for part in parts - used)
        if sum(len(project[part]) for part in parts - used) < NEW_SHARE * sum(len(project[part]) for part in parts):
            yield left_out("another edition of the same text", name, size)
        else:
            yield RawDocument(name, name, "latex", text, len(text.encode("utf-8", "replace")), taken=size)
        used |= parts


def _inputs(project: Texts, name: str, text: str) -> Iterator[str]:
    for match in INPUT.finditer(text):
        target = _find(project, name, _wanted(match))
        if target is not None and target != name:
            yield target


def _wanted(match: re.Match[str]) -> str:
    if match[5]:
        return f"{match[4].strip()}/{match[5].strip()}"
    return (match[2] or match[3]).strip()


def _find(project: Texts, name: str, wanted: str) -> str | None:
    """The file that ``\\input{wanted}`` in ``name`` means: beside it, or below any folder above it."""
    folder = name
    while folder:
        folder = folder.rpartition("/")[0]  # a name may be a URL, whose slashes a path would lose
        base, inner = folder, normpath(wanted).lstrip("/")
        while inner.startswith("../"):
            base, inner = base.rpartition("/")[0], inner[3:]
        for suffix in ("", ".tex"):
            path = f"{base}/{inner}{suffix}".removeprefix("/")
            if path in project:
                return path
    return None


def _joined(project: Texts, name: str, above: tuple[str, ...], left: list[int], parts: set[str]) -> str:
    """``left`` is what the document may still grow to: files that bring each other in twice over grow without end.
    ``parts`` collects the files that it is made of."""

    def bring(match: re.Match[str]) -> str:
        target = _find(project, name, _wanted(match))
        if target is None or target in above or len(above) > MAX_DEPTH or left[0] < len(project[target]):
            return match[0]
        parts.add(target)
        return f"{match[1]}{_joined(project, target, (*above, target), left, parts)}"

    left[0] -= len(project[name])
    return INPUT.sub(bring, project[name])
