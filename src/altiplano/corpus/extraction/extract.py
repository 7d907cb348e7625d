"""A raw document's text, cut into documents of acceptable length."""

import re
import unicodedata
from collections.abc import Iterator

from altiplano.corpus.extraction.html import main_text as html
from altiplano.corpus.extraction.jats import text_of_jats
from altiplano.corpus.extraction.latex.text_of_latex import text_of_latex
from altiplano.corpus.extraction.markup import text_of_asciidoc, text_of_markdown, text_of_rst
from altiplano.corpus.extraction.mediawiki.wikitext import text_of_wikitext
from altiplano.corpus.extraction.pdf import text_of_pdf
from altiplano.corpus.readers.raw import RawDocument

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ufffe\uffff\ud800-\udfff]")


EXTRACTORS = {
    "book": html.text_of_book,
    "latex": text_of_latex,
    "jats": text_of_jats,
    "mediawiki": text_of_wikitext,
    "markdown": text_of_markdown,
    "asciidoc": text_of_asciidoc,
    "rst": text_of_rst,
}


def extract(raw: RawDocument, mode: str = "quality") -> str:
    """NFC text with Unix line ends and without control characters. ``mode`` is ``corpus.extraction.html``.

    Raises NoTextError where there is no text to find.
    """
    if raw.markup == "html":
        text = html.MODES[mode](raw.text)
    elif raw.markup == "pdf":
        text = text_of_pdf(raw)
    elif raw.markup in EXTRACTORS:
        text = EXTRACTORS[raw.markup](raw.text)
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
