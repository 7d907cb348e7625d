"""Plain text and Markdown: a file, or the files of an archive. One file is one document."""

from collections.abc import Iterator
from pathlib import Path

from altiplano.corpus.sources.archive import members
from altiplano.corpus.sources.decoding import decode
from altiplano.corpus.sources.raw import Bad, Raw

SUFFIXES = (".txt", ".md", ".markdown", ".rst", ".adoc", ".asc", ".text")


def read(path: Path, place: str) -> Iterator[Raw | Bad]:
    for member in members(path, place, lambda name: name.lower().endswith(SUFFIXES)):
        if isinstance(member, Bad):
            yield member
            continue
        name, data = member
        if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            yield Bad("binary file", name)
            continue
        text, repair = decode(data)
        if repair:
            yield Bad(repair, name, lost=False)
        yield Raw(name, name, "text", text, len(data))
