"""Plain text, Markdown, reStructuredText and AsciiDoc: a file, or the files of an archive. One file is one document."""

from collections.abc import Iterator

from altiplano.corpus.readers.archive import members
from altiplano.corpus.readers.decoding import decode
from altiplano.corpus.readers.formats.markup_kind import MARKUPS, markup_of
from altiplano.corpus.readers.opening import File, bare
from altiplano.corpus.readers.raw import BadRecord, RawDocument

SUFFIXES = tuple(MARKUPS)


def read(path: File, place: str) -> Iterator[RawDocument | BadRecord]:
    for member in members(path, place, lambda name: name.lower().endswith(SUFFIXES)):
        if isinstance(member, BadRecord):
            yield member
            continue
        name, data = member
        if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            yield BadRecord("binary file", name)
            continue
        text, repair = decode(data)
        if repair:
            yield BadRecord(repair, name, lost=False)
        yield RawDocument(name, name, markup_of(bare(name)), text, len(data))
