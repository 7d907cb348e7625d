"""A raw document's text, cut into documents of acceptable length."""

import re
import unicodedata
from collections.abc import Iterator

from altiplano.corpus.extraction.html import text_of_html
from altiplano.corpus.extraction.latex import text_of_latex
from altiplano.corpus.sources.raw import Raw

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ufffe\uffff\ud800-\udfff]")


def extract(raw: Raw) -> str:
    """NFC text with Unix line ends and without control characters."""
    if raw.markup == "html":
        text = text_of_html(raw.text)
    elif raw.markup == "latex":
        text = text_of_latex(raw.text)
    else:
        text = raw.text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", UNPRINTABLE.sub("", text)).strip("\n")


def cut(text: str, longest: int) -> Iterator[str]:
    """Pieces of at most ``longest`` characters, cut at the last line end that fits, else the last space, else hard."""
    while len(text) > longest:
        at = text.rfind("\n", 1, longest) + 1 or text.rfind(" ", 1, longest) + 1 or longest
        yield text[:at].rstrip("\n")
        text = text[at:].lstrip("\n")
    if text:
        yield text
