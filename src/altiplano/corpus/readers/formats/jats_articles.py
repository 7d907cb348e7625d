"""JATS XML, as journals and PubMed Central publish it: single files or archives of them. One file is one article."""

from collections.abc import Iterator

from altiplano.corpus.readers.archive import members
from altiplano.corpus.readers.decoding import decode
from altiplano.corpus.readers.opening import File
from altiplano.corpus.readers.raw import BadRecord, RawDocument


def read(path: File, place: str) -> Iterator[RawDocument | BadRecord]:
    for member in members(path, place, lambda name: name.lower().endswith((".xml", ".nxml"))):
        if isinstance(member, BadRecord):
            yield member
            continue
        name, data = member
        if b"<article" not in data:
            yield BadRecord("no <article> in the XML", name)
            continue
        text, repair = decode(data)
        if repair:
            yield BadRecord(repair, name, lost=False)
        yield RawDocument(name, name, "jats", text, len(data))
