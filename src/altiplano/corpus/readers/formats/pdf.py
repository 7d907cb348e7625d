"""PDF: each file is a document, whose text ``extraction/pdf.py`` finds."""

from collections.abc import Iterator

from altiplano.corpus.readers.archives.archive import members
from altiplano.corpus.readers.opening import File
from altiplano.corpus.readers.raw import RawDocument, Record


def read(path: File, place: str) -> Iterator[Record]:
    for member in members(path, place, lambda name: name.lower().endswith(".pdf")):
        if isinstance(member, tuple):
            name, data = member
            yield RawDocument(name, name, "pdf", "", len(data), packed=data)
        else:
            yield member
