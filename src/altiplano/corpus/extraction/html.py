"""The main text of an HTML page, without navigation, advertisements and comments."""

import logging

from altiplano.corpus.extraction.hybrid import main_part
from altiplano.corpus.extras import extra


def text_of_html(html: str) -> str:
    """Quality mode: trafilatura on the whole page. Empty when the page has no main text or cannot be parsed."""
    trafilatura = extra("trafilatura")
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it reports every empty page
    if not html.strip():
        return ""
    try:
        text = trafilatura.extract(html, fast=True, include_comments=False, include_tables=True)
    except (ValueError, TypeError, AttributeError, RecursionError, AssertionError):  # lxml's moods on broken pages
        return ""
    return text or ""


def fast_text_of_html(html: str) -> str:
    """Hybrid mode: the page's main part where it is marked, else as in quality mode."""
    return main_part(html) or text_of_html(html)


MODES = {"quality": text_of_html, "hybrid": fast_text_of_html}
"""Values of ``corpus.extraction.html``."""
