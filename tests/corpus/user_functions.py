"""Functions of a user, as the tests of curation pass them: of a module, so that other processes can import them."""

from collections.abc import Iterator
from pathlib import Path

from altiplano.corpus.extensions import Document
from altiplano.corpus.readers.raw import RawDocument


def no_bridges(document: Document) -> str | None:
    return "bridge" if "bridge" in document.text else None


def at_most(document: Document, seas: float) -> str | None:
    return "many seas" if document.annotations["seas"] > seas else ""


def sea_and_word(text: str) -> dict[str, float | str]:
    return {"seas": text.count("sea"), "first_word": text.split(maxsplit=1)[0] if text.split() else ""}


def taken_name(text: str) -> dict[str, float]:
    return {"words": 1.0}


def fails_on_long_texts(text: str) -> dict[str, float]:
    if len(text) > 100:
        raise RuntimeError("no such text")
    return {"half": 0.5}


def other_columns(text: str) -> dict[str, float | str]:
    return {"half": "none"} if "bridge" in text else {"half": 0.5}


def fails(document: Document) -> str | None:
    raise KeyError("nothing there")


def paragraphs(path: Path) -> Iterator[RawDocument]:
    for text in path.read_text(encoding="utf-8").split("\n# "):
        yield RawDocument(place="", url=path.name, markup="text", text=text, size=len(text.encode()))


def broken_reader(path: Path) -> Iterator[RawDocument]:
    yield from paragraphs(path)
    raise RuntimeError("damaged")
