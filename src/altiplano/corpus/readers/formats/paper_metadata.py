"""Titles and abstracts of papers: OpenAlex's works and arXiv's metadata, both JSON lines."""

import json
from collections.abc import Iterator
from typing import Any

from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.formats.jsonl import read_lines
from altiplano.corpus.readers.opening import File
from altiplano.corpus.readers.raw import BadRecord, RawDocument, Record, left_out

NO_ABSTRACT = "paper without an abstract"
MAX_WORDS = 100_000
"""Of an abstract: places in an inverted index may be any number."""


def read_openalex(path: File, place: str) -> Iterator[Record]:
    return read_lines(path, place, _openalex)


def read_arxiv(path: File, place: str) -> Iterator[Record]:
    return read_lines(path, place, _arxiv)


def _openalex(line: bytes, where: str) -> Iterator[RawDocument | BadRecord]:
    work = _object(line)
    if work is None:
        yield BadRecord("malformed JSON line", where, size=len(line))
        return
    title = work.get("title") or work.get("display_name") or ""
    if work.get("is_retracted") is True:
        yield left_out("retracted paper", f"{where} {title}", len(line))
        return
    abstract, lost = _in_order(work.get("abstract_inverted_index"))
    if lost:
        yield BadRecord("words of an abstract without a place", f"{where}: {lost}", lost=False, taken=0)
    yield _paper(title, abstract, str(work.get("id") or ""), line, where)


def _arxiv(line: bytes, where: str) -> Iterator[RawDocument | BadRecord]:
    paper = _object(line)
    if paper is None:
        yield BadRecord("malformed JSON line", where, size=len(line))
        return
    url = f"https://arxiv.org/abs/{paper['id']}" if paper.get("id") else ""
    title, abstract = (_one_line(paper.get(key)) for key in ("title", "abstract"))
    yield _paper(title, abstract, url, line, where)


def _paper(title: Any, abstract: str, url: str, line: bytes, where: str) -> RawDocument | BadRecord:
    if not abstract:
        return left_out(NO_ABSTRACT, f"{where} {title}", len(line))
    text = f"# {_one_line(title)}\n\n{abstract}" if title else abstract
    text = text.encode("utf-8", "replace").decode("utf-8")
    return RawDocument(where, url, "markdown", text, min(len(text.encode("utf-8")), len(line)))


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(decode(line)[0])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _in_order(index: Any) -> tuple[str, int]:
    """The text of an inverted index, each word with the places where it stands; and how many have none."""
    if not isinstance(index, dict):
        return "", 0
    words: dict[int, str] = {}
    lost = 0
    for word, places in index.items():
        for place in places if isinstance(places, list) else (None,):
            if isinstance(place, int) and 0 <= place < MAX_WORDS:
                words[place] = str(word)
            else:
                lost += 1
    return " ".join(words[place] for place in sorted(words)), lost


def _one_line(text: Any) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""
