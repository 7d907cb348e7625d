"""MediaWiki dumps (``pages-articles.xml``, plain or compressed): the articles' wikitext, page by page."""

import re
from collections.abc import Iterator
from typing import Any

from altiplano.corpus.readers.opening import BROKEN, File, open_raw
from altiplano.corpus.readers.raw import BadRecord, RawDocument, left_out
from altiplano.optional_imports import extra

NAMESPACES = {"6": "File", "14": "Category"}
"""By their key in ``<siteinfo>``: those whose links are no text. In English they mean the same in every wiki."""

REDIRECT = re.compile(
    r"\s*+#[^\W\d_]++\s*+:?\s*+\[\[[^\[\]]++\]\]\s*+(?:(?:\{\{[^{}]*+\}\}|\[\[[^\[\]]*+\]\])\s*+)*+\Z"
)
"""``#REDIRECT [[…]]`` in the words of any language, for dumps that do not mark it."""


def read(path: File, place: str) -> Iterator[RawDocument | BadRecord]:
    """Redirects and pages outside the article namespace are counted, not kept.

    The parser holds one page; it refuses a text above 10 MB, which no wiki allows (MediaWiki's limit is 2 MiB).
    """
    etree = extra("lxml.etree")
    number, base = -1, ""
    names: dict[str, str] = {}
    try:
        with open_raw(path) as stream:
            tags = ("{*}page", "{*}base", "{*}namespace")
            events = etree.iterparse(stream, tag=tags, resolve_entities=False, no_network=True)
            for _, element in events:
                if element.tag.endswith("base"):
                    base = (element.text or "").rpartition("/")[0]
                    continue
                if element.tag.endswith("namespace"):
                    if (english := NAMESPACES.get(element.get("key"))) and element.text:
                        names[element.text] = english
                    continue
                number += 1
                yield _page(element, f"{place}#{number}", base, names)
                element.clear()
                while element.getprevious() is not None:  # iterparse keeps what it has seen, else
                    del element.getparent()[0]
    except (*BROKEN, etree.XMLSyntaxError) as error:
        yield BadRecord("damaged dump, the rest is lost", f"{place} after page {number}: {error}")


def _page(page: Any, place: str, base: str, names: dict[str, str]) -> RawDocument | BadRecord:
    title = page.findtext("{*}title") or ""
    if (page.findtext("{*}ns") or "0") != "0":
        return left_out("not in the article namespace", f"{place} {title}")
    if page.find("{*}redirect") is not None:
        return left_out("redirect", f"{place} {title}")
    text = page.findtext("{*}revision/{*}text") or ""
    if "#" in text[:100] and REDIRECT.match(text):
        return left_out("redirect", f"{place} {title}")
    size = len(text.encode("utf-8"))
    for name, english in names.items():
        text = re.sub(rf"(\[\[\s*){re.escape(name)}\s*:", rf"\1{english}:", text, flags=re.IGNORECASE)
    url = f"{base}/{title.replace(' ', '_')}" if base else title
    return RawDocument(place, url, "mediawiki", f"= {title} =\n{text}", size)
