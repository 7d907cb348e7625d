"""JATS XML, as journals and PubMed Central publish it: single files or archives of them. One file is one article."""

from collections.abc import Iterator

from altiplano.corpus.readers.archive import members
from altiplano.corpus.readers.decoding import decode
from altiplano.corpus.readers.opening import File
from altiplano.corpus.readers.raw import Bad, Raw


def read(path: File, place: str) -> Iterator[Raw | Bad]:
    for member in members(path, place, lambda name: name.lower().endswith((".xml", ".nxml"))):
        if isinstance(member, Bad):
            yield member
            continue
        name, data = member
        if b"<article" not in data:
            yield Bad("no <article> in the XML", name)
            continue
        text, repair = decode(data)
        if repair:
            yield Bad(repair, name, lost=False)
        yield Raw(name, name, "jats", text, len(data))
