"""How near a text comes to the labelled one.

``f1``: harmonic mean of precision and recall of word 4-grams, counted with repetitions, of one page (as in
article-extraction-benchmark, whose precision and recall are means over pages); Han and kana count letter by letter. Of
trafilatura's set: of the pieces that must and must not be in the text, over all pages, as its own evaluation does.
"""

import re
from collections import Counter
from collections.abc import Iterable
from statistics import fmean

from labelled.sets import Page

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
NUMBER = re.compile(r"\A\d{1,3} (?=.)")
"""Of an item; extractors write it or a dash."""

MARK = re.compile(r"\[(?:[a-z] )?\d{1,3}\]|\^")
"""Of footnotes and powers: extractors keep, drop or write them each in their way, which is no loss of a row."""

GRAM = 4
LATEX = re.compile(r"\\(?:displaystyle|left|right|,|;|!|:|quad|text|mathrm|operatorname)(?![a-zA-Z])|[{}\s]")


def grams(text: str) -> Counter[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    if len(words) < GRAM:
        return Counter([tuple(words)] if words else [])
    return Counter(zip(*(words[start:] for start in range(GRAM)), strict=False))


def f1(expected: str, found: str) -> float:
    a, b = grams(expected), grams(found)
    if not a or not b:
        return float(not a and not b)
    return 2 * (a & b).total() / (a.total() + b.total())


def segments_f1(pages: Iterable[tuple[Page, str]]) -> float:
    hit = missed = wrong = 0
    for page, found in pages:
        flat = " ".join(found.split())
        kept = sum(" ".join(piece.split()) in flat for piece in page.wanted)
        hit += kept
        missed += len(page.wanted) - kept
        wrong += sum(" ".join(piece.split()) in flat for piece in page.unwanted)
    return 2 * hit / (2 * hit + missed + wrong) if hit else 0.0


def _words(text: str) -> str:
    return " ".join(WORD.findall(MARK.sub("", text)))


def kept(what: str, expected: list[str], found: str) -> int:
    """How many of the parts of a kind are in the text."""
    if what == "formulas":
        flat = LATEX.sub("", found)
        return sum(LATEX.sub("", formula) in flat for formula in expected)
    lines = found.split("\n")
    if what == "code lines":
        there = Counter(line.rstrip() for line in lines)
        return (there & Counter(line.rstrip() for line in expected)).total()
    squeezed = [_words(line) for line in lines]
    if what == "list items":
        there = {NUMBER.sub("", line) for line in squeezed}
        return sum(NUMBER.sub("", _words(item)) in there for item in expected)
    text = "\n".join(squeezed)
    return sum(_words(row) in text for row in expected)


def score(pages: list[tuple[Page, str]]) -> float:
    if not pages:
        return 0.0
    if pages[0][0].kind == "segments":
        return segments_f1(pages)
    return fmean(f1(page.text, found) for page, found in pages)
