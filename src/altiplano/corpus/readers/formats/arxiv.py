"""LaTeX as arXiv distributes it: single .tex files, a submission's archive, or one tar of many submissions' archives.

Files that another one includes by ``\\input`` or ``\\include`` are joined with it; every other file is one document.
"""

import io
import re
from collections.abc import Generator, Iterator
from pathlib import PurePosixPath

from altiplano.corpus.extraction.latex_lexing import without_comments
from altiplano.corpus.readers.archive import members, unpack
from altiplano.corpus.readers.decoding import decode
from altiplano.corpus.readers.opening import BROKEN, File, bare, decompressed
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, BadRecord, RawDocument, left_out

TEX = (".tex", ".ltx", ".latex")
PACKED = (".gz", ".tgz", ".zip", ".tar")
INPUT = re.compile(
    r"(?<!\\)((?:\\\\)*+)\\(?:input|include|subfile)(?![A-Za-z])\s*+(?:\{([^{}\n]++)\}|([A-Za-z0-9_./-]++))"
)
MAX_DEPTH = 10
NEW_SHARE = 0.1
"""Share of new characters; a document with fewer is another edition of an earlier one."""

MAX_PROJECT_BYTES = 4 * MAX_RECORD_BYTES

Project = dict[str, str]
"""Path within the submission → LaTeX."""


def read(path: File, place: str) -> Iterator[RawDocument | BadRecord]:
    project: Project = {}
    held = 0
    for member in members(path, place, lambda name: name.lower().endswith((*TEX, *PACKED))):
        if isinstance(member, BadRecord):
            yield member
            continue
        name, data = member
        if not name.lower().endswith(TEX) and not bare(name).lower().endswith(TEX) and name != place:
            yield from _submission(name, data)
            continue
        text = yield from _text(name, data)
        held += len(data)
        if held > MAX_PROJECT_BYTES:  # many submissions unpacked side by side; their files do follow one another
            yield from _documents(project)
            project, held = {}, len(data)
        project[name] = text
    yield from _documents(project)


def _submission(name: str, data: bytes) -> Iterator[RawDocument | BadRecord]:
    """``2401.00001.gz`` of a big tar: itself a tar, or one compressed file."""
    inner = name
    if name.lower().endswith((".gz", ".tgz")):
        try:
            data = decompressed(data, ".gz")
        except BROKEN as error:
            yield BadRecord("damaged submission", f"{name}: {error}")
            return
        inner = name.lower().removesuffix(".gz")
    is_tar = data[257:262] == b"ustar"
    if not is_tar and not inner.endswith(".zip"):
        if b"\\documentclass" in data or b"\\begin" in data or b"\\section" in data:
            text = yield from _text(name, data)
            yield RawDocument(name, name, "latex", text, len(data))
        return
    project: Project = {}
    for member in unpack(io.BytesIO(data), inner, name, lambda each: each.lower().endswith(TEX)):
        if isinstance(member, BadRecord):
            yield member
        else:
            project[member[0]] = yield from _text(*member)
    yield from _documents(project)


def _text(name: str, data: bytes) -> Generator[BadRecord, None, str]:
    text, repair = decode(data)
    if repair:
        yield BadRecord(repair, name, lost=False)
    return without_comments(text.replace("\r\n", "\n"))  # an \input that is commented out includes nothing


def _documents(project: Project) -> Iterator[RawDocument | BadRecord]:
    brought = {target for name, text in project.items() for target in _inputs(project, name, text)}
    roots = [name for name in project if name not in brought] or sorted(project)[:1]  # they may all include each other
    used: set[str] = set()
    for name in roots:
        parts = {name}
        text = _joined(project, name, (name,), [MAX_RECORD_BYTES], parts)
        if sum(len(project[part]) for part in parts - used) < NEW_SHARE * sum(len(project[part]) for part in parts):
            yield left_out("another edition of the same text", name)
            continue
        used |= parts
        yield RawDocument(name, name, "latex", text, len(text.encode("utf-8", "replace")))


def _inputs(project: Project, name: str, text: str) -> Iterator[str]:
    for match in INPUT.finditer(text):
        target = _find(project, name, (match[2] or match[3]).strip())
        if target is not None and target != name:
            yield target


def _find(project: Project, name: str, wanted: str) -> str | None:
    """The file that ``\\input{wanted}`` in ``name`` means: beside it, or below any folder above it."""
    for folder in PurePosixPath(name).parents:
        for suffix in ("", ".tex"):
            path = str(folder / f"{wanted.removeprefix('./')}{suffix}")
            if path in project:
                return path
    return None


def _joined(project: Project, name: str, above: tuple[str, ...], left: list[int], parts: set[str]) -> str:
    """``left`` is what the document may still grow to: files that bring each other in twice over grow without end.
    ``parts`` collects the files that it is made of."""

    def bring(match: re.Match[str]) -> str:
        target = _find(project, name, (match[2] or match[3]).strip())
        if target is None or target in above or len(above) > MAX_DEPTH or left[0] < len(project[target]):
            return match[0]
        parts.add(target)
        return f"{match[1]}{_joined(project, target, (*above, target), left, parts)}"

    left[0] -= len(project[name])
    return INPUT.sub(bring, project[name])
