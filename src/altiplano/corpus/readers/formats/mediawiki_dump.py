"""MediaWiki dumps (``pages-articles.xml``, plain or compressed): the articles' wikitext, page by page."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from altiplano.corpus.readers.archives.decompression import BROKEN, Stream
from altiplano.corpus.readers.opening import File, open_raw, size_of
from altiplano.corpus.readers.raw import BadRecord, FileRead, RawDocument, Record, left_out, records_lost
from altiplano.optional_imports import extra

NAMESPACES = {"6": "File", "14": "Category"}
"""By their key in ``<siteinfo>``: those whose links are no text. In English they mean the same in every wiki."""

REDIRECT = re.compile(
    r"\s*+#[^\W\d_]++\s*+:?\s*+\[\[[^\[\]]++\]\]\s*+(?:(?:\{\{[^{}]*+\}\}|\[\[[^\[\]]*+\]\])\s*+)*+\Z"
)
"""``#REDIRECT [[…]]`` in the words of any language, for dumps that do not mark it."""

REST_LOST = "damaged dump, the rest is lost"
MARKUP = "XML around the texts"
STEP = 2048
PAGE_BYTES = 4096
"""Bytes of a page in a dump, about; used where none was read."""


def read(path: File, place: str) -> Iterator[Record]:
    """Redirects and pages outside the article namespace are counted, not kept.

    The parser holds one page; it refuses a text above 10 MB, which no wiki allows (MediaWiki's limit is 2 MiB).
    """
    etree = extra("lxml.etree")
    number, base = -1, ""
    names: dict[str, str] = {}
    texts = seen = 0
    try:
        stream = open_raw(path)
    except BROKEN as error:
        yield BadRecord(REST_LOST, f"{place}: {error}", size=size_of(path), taken=0)
        return
    with stream:
        lost = 0
        try:
            steps = _Steps(stream)
            events = etree.iterparse(
                steps, tag=("{*}page", "{*}base", "{*}namespace"), resolve_entities=False, no_network=True
            )
            for _, element in events:
                if element.tag.endswith("base"):
                    base = (element.text or "").rpartition("/")[0]
                    continue
                if element.tag.endswith("namespace"):
                    if (english := NAMESPACES.get(element.get("key"))) and element.text:
                        names[element.text] = english
                    continue
                number += 1
                found = _page(element, f"{place}#{number}", base, names)
                texts, seen = texts + found.size, steps.count
                yield found
                if older := sum(
                    len((text.text or "").encode()) for text in element.findall("{*}revision/{*}text")[:-1]
                ):
                    yield left_out("older revision", f"{place}#{number}", older)
                    texts += older
                element.clear()
                while element.getprevious() is not None:  # iterparse keeps what it has seen, else
                    del element.getparent()[0]
        except (*BROKEN, etree.XMLSyntaxError) as error:
            size = size_of(path)
            _drain(stream)
            lost = stream.unpacked - seen
            # in a compressed file, of what could be unpacked
            share = max(lost / max(stream.unpacked, 1), 1 - stream.packed / max(size, 1))
            records = records_lost(round(share * size), size - round(share * size), number + 1, PAGE_BYTES)
            where = f"{place} {f'after page {number}' if number >= 0 else 'before its first page'}: {error}"
            yield BadRecord(REST_LOST, where, records=records, size=round(share * size), taken=lost)
        yield FileRead(stream.unpacked, {MARKUP: stream.unpacked - texts - lost})


class _Steps:
    """Small ones, so that what was read is what was parsed, nearly."""

    def __init__(self, stream: Stream):
        self._stream, self.count = stream, 0

    def read(self, _: int) -> bytes:
        data = self._stream.read(STEP)
        self.count += len(data)
        return data


def _drain(stream: Stream) -> None:
    with suppress(*BROKEN):
        stream.drain()


def _page(page: Any, place: str, base: str, names: dict[str, str]) -> RawDocument | BadRecord:
    title = page.findtext("{*}title") or ""
    text = page.findtext("{*}revision[last()]/{*}text") or ""
    size = len(text.encode("utf-8"))
    if (page.findtext("{*}ns") or "0") != "0":
        return left_out("not in the article namespace", f"{place} {title}", size)
    if page.find("{*}redirect") is not None:
        return left_out("redirect", f"{place} {title}", size)
    if "#" in text[:100] and REDIRECT.match(text):
        return left_out("redirect", f"{place} {title}", size)
    for name, english in names.items():
        text = re.sub(rf"(\[\[\s*){re.escape(name)}\s*:", rf"\1{english}:", text, flags=re.IGNORECASE)
    url = f"{base}/{title.replace(' ', '_')}" if base else title
    return RawDocument(place, url, "mediawiki", f"= {title} =\n{text}", size)
