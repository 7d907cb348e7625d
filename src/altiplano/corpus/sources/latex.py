"""LaTeX: tar archives of sources, as arXiv hands them out, or single .tex files. One file is one document."""

from collections.abc import Iterator
from pathlib import Path

from altiplano.corpus.sources.archive import members
from altiplano.corpus.sources.decoding import decode
from altiplano.corpus.sources.raw import Bad, Raw


def read(path: Path, place: str) -> Iterator[Raw | Bad]:
    for member in members(path, place, lambda name: name.lower().endswith((".tex", ".ltx", ".latex"))):
        if isinstance(member, Bad):
            yield member
            continue
        name, data = member
        text, repair = decode(data)
        if repair:
            yield Bad(repair, name, lost=False)
        yield Raw(name, name, "latex", text, len(data))
