"""Kinds of good text and of junk, for ``perplexity.py``: cut out of pages and papers by their markup, or made."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import lxml.html

from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.readers.listing import plan
from altiplano.corpus.readers.raw import RawDocument
from altiplano.corpus.readers.read import read
from altiplano.recipe.schema import CorpusConfig, SourceConfig

MIN_CHARACTERS = 200
GOOD = ("articles (web)", "manuals", "papers", "tables", "lists", "listings", "text with formulas")
JUNK = (
    "navigation", "footers", "sidebars, related pages", "cookie and consent notices", "forms", "readers' comments",
    "other text beside articles", "shuffled words", "broken characters", "repeated sentence", "lists of keywords",
)  # fmt: skip
CLASSES = {
    "cookie and consent notices": r"cookie|consent|gdpr|datenschutzhinweis",
    "readers' comments": r"comment|disqus|kommentar",
    "sidebars, related pages": r"sidebar|related|recommend|teaser|widget|newsletter|promo|share|social",
    "navigation": r"\bnav|menu|breadcrumb|pagination",
    "footers": r"footer|imprint|copyright",
}
TAGS = {
    "nav": "navigation",
    "menu": "navigation",
    "footer": "footers",
    "aside": "sidebars, related pages",
    "form": "forms",
}
FENCED = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def junk_of_page(html: str, main_text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of what stands beside the main text; of elements in each other the outermost one counts."""
    try:
        root = lxml.html.document_fromstring(html.encode("utf-8", "replace"))
    except (ValueError, lxml.etree.LxmlError):
        return
    for element in root.xpath("//script|//style|//noscript|//head"):
        element.drop_tree()
    squeezed = " ".join(main_text.split())
    for element in [*root.iter(*TAGS, "div", "section", "ul")]:
        kind = _kind(element)
        if kind and element.getparent() is not None:
            lines = _lines(element, squeezed)
            element.drop_tree()
            yield kind, lines
    yield "other text beside articles", _lines(root, squeezed)


def _kind(element: lxml.html.HtmlElement) -> str:
    names = f"{element.get('class') or ''} {element.get('id') or ''}".lower()
    named = next((kind for kind, pattern in CLASSES.items() if re.search(pattern, names)), "")
    return named or TAGS.get(element.tag, "")


def _lines(element: lxml.html.HtmlElement, squeezed: str) -> str:
    pieces = (" ".join(piece.split()) for piece in element.itertext())
    return "\n".join(piece for piece in pieces if piece and piece not in squeezed)


def parts_of_text(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of what is in a main text beside its running prose."""
    lines = text.split("\n")
    yield "tables", "\n".join(line.replace("|", " ") for line in lines if line.startswith("| "))
    yield "lists", "\n".join(line for line in lines if line.lstrip().startswith("- "))
    yield "listings", "\n".join(FENCED.findall(text))
    yield "text with formulas", "\n".join(line for line in lines if line.count("$") >= 4)


def spoilt(text: str, seed: int) -> Iterator[tuple[str, str]]:
    """Kind and text of what programs make of an article."""
    words = text.split()
    chosen = random.Random(seed)
    yield "shuffled words", " ".join(chosen.sample(words, len(words)))
    yield "broken characters", text.encode("utf-8").decode("cp1252", "replace")
    sentence = " ".join(words[:15])
    yield "repeated sentence", " ".join([sentence] * 30)
    yield "lists of keywords", ", ".join(sorted({word.strip(".,;:!?()\"'") for word in words if len(word) > 6}))


def documents(corpus: Path) -> Iterator[tuple[str, str]]:
    """Kind and text of every manual's page and paper."""
    sources = (
        SourceConfig(name="academic", domain="academic", format="latex", path="academic/*.tar.gz"),
        SourceConfig(name="reference", domain="reference", format="jsonl", path="reference/*.jsonl.gz"),
    )
    for task in plan(CorpusConfig(root=corpus, sources=sources)):
        kind = "papers" if task.source.name == "academic" else "manuals"
        for record in read(task):
            if isinstance(record, RawDocument):
                yield kind, extract(record)
