"""Which markup a file is written in, by its ending."""

from pathlib import PurePosixPath

from altiplano.corpus.readers.raw import Markup

MARKUPS: dict[str, Markup] = {
    ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown", ".mdx": "markdown",
    ".rst": "rst", ".adoc": "asciidoc", ".asciidoc": "asciidoc", ".asc": "asciidoc",
}  # fmt: skip


def markup_of(name: str) -> Markup:
    return MARKUPS.get(PurePosixPath(name.lower()).suffix, "text")
