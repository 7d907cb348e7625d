"""Plain text, Markdown, reStructuredText and AsciiDoc: a file, or the files of an archive. One file is one document."""

from collections.abc import Iterator

from altiplano.corpus.readers.archives.archive import members
from altiplano.corpus.readers.charsets.decoding import decode, is_binary
from altiplano.corpus.readers.formats.markup_kind import MARKUPS, markup_of
from altiplano.corpus.readers.opening import File, bare
from altiplano.corpus.readers.raw import BadRecord, RawDocument, Record

SUFFIXES = tuple(MARKUPS)


def read(path: File, place: str) -> Iterator[Record]:
    for member in members(path, place, lambda name: name.lower().endswith(SUFFIXES)):
        if not isinstance(member, tuple):
            yield member
            continue
        name, data = member
        if is_binary(data):
            yield BadRecord("binary file", name, size=len(data))
            continue
        text, repair = decode(data)
        if repair:
            yield BadRecord(repair, name, lost=False, taken=0)
        yield RawDocument(name, name, markup_of(bare(name)), text, len(data))
