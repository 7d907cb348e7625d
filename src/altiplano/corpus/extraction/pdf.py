"""PDF: the text that the file holds, page after page; a scan without text is counted, not read.

Lines are joined to paragraphs, and words that a line end cut in two are one again. Needs the extra ``pdf``.
"""

import re

from altiplano.corpus.readers.raw import BadRecord, NoTextError, RawDocument, left_out
from altiplano.optional_imports import extra

CUT_WORD = re.compile(r"(?<=[^\W\d_]{2})[-\u00ad\u2010]\n(?=[^\W\d_A-Z])")
"""The second half begins with a small letter."""

JOINED = "\x02"
"""Where pdfium has joined the halves of a word."""

FULL_LINE = 0.8
"""Of the longest usual line, from which on a line goes on in the next one."""

ENDS = tuple(".!?:;。！？…»”\"'’)")


def text_of_pdf(raw: RawDocument) -> str:
    """Raises NoTextError for what is damaged, encrypted or no PDF, and for a scan without text."""
    pdfium = extra("pypdfium2", "pdf", 'format = "pdf"')
    try:
        with pdfium.PdfDocument(raw.packed) as document:
            pages = []
            for page in document:
                text = page.get_textpage()
                pages.append(text.get_text_bounded())
                text.close()
                page.close()
    except pdfium.PdfiumError as error:
        raise NoTextError(BadRecord("PDF that cannot be read", f"{raw.place}: {error}")) from error
    text = "\n\n".join(_paragraphs(page) for page in pages)
    if not text.strip():
        raise NoTextError(left_out("PDF without text", raw.place))
    return text


def _paragraphs(page: str) -> str:
    page = CUT_WORD.sub("", page.replace("\r\n", "\n").replace(JOINED, ""))
    lines = page.split("\n")
    lengths = sorted(len(line) for line in lines if line.strip())
    full = FULL_LINE * lengths[len(lengths) * 9 // 10] if lengths else 0
    parts: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        text = line.rstrip()
        goes_on = bool(text and following.strip()) and len(text) >= full and not text.endswith(ENDS)
        goes_on = goes_on or (bool(text) and following[:1].islower())
        parts.append(text + (" " if goes_on else "\n"))
    return "".join(parts).strip("\n")
