"""MediaWiki dumps (``pages-articles.xml``, plain or compressed): the articles' wikitext, page by page.

Each page is parsed as a document of its own, so that a damaged one costs no other. Within a text ``<`` is always
written ``&lt;``: ``<page`` is where the next page begins.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from altiplano.corpus.extraction.mediawiki.templates import vanishing
from altiplano.corpus.readers.archives.decompression import BROKEN, PIECE, Stream
from altiplano.corpus.readers.charsets.decoding import decode, xml_encoding
from altiplano.corpus.readers.opening import File, open_raw, size_of
from altiplano.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    FileRead,
    RawDocument,
    Record,
    left_out,
    records_lost,
    taken_of,
)
from altiplano.corpus.readers.xml_characters import written_out
from altiplano.optional_imports import extra

NAMESPACES = {"6": "File", "14": "Category"}
"""By their key in ``<siteinfo>``: those whose links are no text. In English they mean the same in every wiki."""

REDIRECT = re.compile(
    r"\s*+#[^\W\d_]++\s*+:?\s*+\[\[[^\[\]]++\]\]\s*+(?:(?:\{\{[^{}]*+\}\}|\[\[[^\[\]]*+\]\])\s*+)*+\Z"
)
"""``#REDIRECT [[…]]`` in the words of any language, for dumps that do not mark it."""

REST_LOST = "damaged dump, the rest is lost"
DAMAGED = "damaged page of a dump"
REPAIRED = "page of broken XML, repaired"
VANISHED = "templates of a wiki that stand for no words here"
MARKUP = "XML around the texts"
PAGE_BYTES = 4096
"""Bytes of a page in a dump, about; used where none was read."""

BEGIN, END = re.compile(rb"<page(?=[\s>/])"), re.compile(rb"</page\s{0,20}>")
REVISION = re.compile(rb"<revision(?=[\s>/])")
DUMP_END = re.compile(rb"</[\w:.-]{1,40}\s{0,20}>\s*\Z")
TEXT_BEGIN = re.compile(r"<text(?:\s[^<>]*+)?>(?<!/>)")
STRAY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")
TEXT = "{*}revision[last()]/{*}text"
SIGN_BYTES = 32
"""Longer than any of these."""


def read(path: File, place: str) -> Iterator[Record]:
    """Redirects and pages outside the article namespace are counted, not kept."""
    try:
        stream = open_raw(path)
    except BROKEN as error:
        yield BadRecord(REST_LOST, f"{place}: {error}", size=size_of(path), taken=0)
        return
    with stream:
        number, seen, records_bytes, why = -1, 0, 0, ""
        wiki = _Wiki()
        try:
            for chunk in _chunks(stream):
                found: list[RawDocument | BadRecord]
                if chunk.is_head:
                    wiki, found = _Wiki.of(chunk.data), [*_lost_in(chunk.data, place)]
                    why = "" if chunk.is_last and wiki.is_whole else "no <page> in it"
                elif chunk.is_last and not END.search(chunk.data):
                    why = "cut off in a page"
                    break
                else:
                    number += 1
                    found = [*_records(chunk, f"{place}#{number}", wiki)]
                    why = "" if not chunk.is_last or DUMP_END.search(chunk.data) else "cut off after a page"
                seen += chunk.size
                records_bytes += sum(map(taken_of, found))
                yield from found
        except BROKEN as error:
            why = str(error)
        if why:
            size = size_of(path)
            _drain(stream)
            lost = stream.unpacked - seen
            # in a compressed file, of what could be unpacked
            share = max(lost / max(stream.unpacked, 1), 1 - stream.packed / max(size, 1))
            records = records_lost(round(share * size), size - round(share * size), number + 1, PAGE_BYTES)
            where = f"{place} {f'after page {number}' if number >= 0 else 'before its first page'}: {why}"
            yield BadRecord(REST_LOST, where, records=records, size=round(share * size), taken=lost)
            records_bytes += lost
        yield FileRead(stream.unpacked, {MARKUP: stream.unpacked - records_bytes})


@dataclass(frozen=True)
class _Chunk:
    """What begins with a page, up to the next one; or what stands before the first."""

    data: bytes
    is_head: bool
    is_last: bool
    older: int = 0
    """Bytes of revisions that were left out of it, since together they are too long."""
    is_cut: bool = False
    """Whether bytes are missing that are no older revisions."""

    @property
    def size(self) -> int:
        return len(self.data) + self.older


def _chunks(stream: Stream) -> Iterator[_Chunk]:
    buffer = bytearray()
    is_head, is_cut, older, at = True, False, 0, 0
    while data := stream.read1(PIECE):
        buffer += data
        while match := BEGIN.search(buffer, at):
            yield _Chunk(bytes(buffer[: match.start()]), is_head, False, older, is_cut)
            del buffer[: match.start()]
            is_head, is_cut, older, at = False, False, 0, 1
        if len(buffer) > MAX_RECORD_BYTES:
            first, last = REVISION.search(buffer), buffer.rfind(b"<revision")
            start = first.start() if first else SIGN_BYTES
            end = last if first and last > start else len(buffer) - SIGN_BYTES
            is_cut = is_cut or end != last
            del buffer[start:end]
            older += end - start
        at = max(len(buffer) - SIGN_BYTES, 0 if is_head else 1)  # a page's own sign stands at 0
    yield _Chunk(bytes(buffer), is_head, True, older, is_cut)


def _drain(stream: Stream) -> None:
    with suppress(*BROKEN):
        stream.drain()


@dataclass(frozen=True)
class _Wiki:
    """What a dump says of its wiki before the first page."""

    base: str = ""
    names: dict[str, str] = field(default_factory=dict)
    """English names of the namespaces by the wiki's own."""
    charset: str | None = None
    is_whole: bool = False

    @classmethod
    def of(cls, head: bytes) -> "_Wiki":
        root, repair = _parsed(head, None)
        if root is None:
            return cls()
        base = next((element.text or "" for element in root.iter("{*}base")), "")
        names = {
            element.text: NAMESPACES[element.get("key")]
            for element in root.iter("{*}namespace")
            if element.text and element.get("key") in NAMESPACES
        }
        return cls(base.rpartition("/")[0], names, xml_encoding(head), not repair)


def _parsed(xml: bytes, charset: str | None) -> tuple[Any, str]:
    """The element, None where there is none, and what was repaired."""
    etree = extra("lxml.etree")
    # a page is at most as large as any record, and nothing unfolds in it
    safe = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": True}
    if charset is None or charset.lower() in ("utf-8", "utf8"):
        with suppress(ValueError, etree.XMLSyntaxError):
            return etree.fromstring(xml, etree.XMLParser(**safe)), ""
    text, repair = decode(xml, charset)
    text = written_out(text)
    mended = _mended(text)
    for source, recover, reason in ((text, False, repair), (mended, False, REPAIRED), (mended, True, REPAIRED)):
        with suppress(ValueError, etree.XMLSyntaxError):
            parser = etree.XMLParser(encoding="utf-8", recover=recover, **safe)
            return etree.fromstring(source.encode("utf-8", "replace"), parser), reason
    return None, ""


def _mended(xml: str) -> str:
    """With signs in the texts that are XML's written out."""
    *pieces, rest = xml.split("</text>")
    for at, piece in enumerate(pieces):
        if match := TEXT_BEGIN.search(piece):
            pieces[at] = piece[: match.end()] + piece[match.end() :].replace("<", "&lt;")
    return STRAY.sub("&amp;", "</text>".join([*pieces, rest]))


def _records(chunk: _Chunk, place: str, wiki: _Wiki) -> Iterator[RawDocument | BadRecord]:
    """The page, or why there is none, and what is lost behind it."""
    end = END.search(chunk.data)
    page = chunk.data[: end.end()] if end else chunk.data
    root, repair = (None, "") if chunk.is_cut else _parsed(page if end else page + b"</page>", wiki.charset)
    if root is None or root.find(TEXT) is None:
        yield BadRecord(TOO_LONG if chunk.is_cut else DAMAGED, place, size=len(page) + chunk.older)
    else:
        found = _page(root, place, wiki)
        texts = root.findall("{*}revision/{*}text")
        older = chunk.older + sum(len(_text(text).encode()) for text in texts[:-1])
        if isinstance(found, RawDocument):
            if repair:
                yield BadRecord(repair, place, lost=False, taken=0)
            if names := vanishing(found.text):
                yield BadRecord(VANISHED, f"{place}: {{{{{names[0]}}}}}", lost=False, records=len(names), taken=0)
        yield found
        if older:
            yield left_out("older revision", place, older)
    yield from _lost_in(chunk.data[end.end() :] if end else b"", place)


def _lost_in(data: bytes, place: str) -> Iterator[BadRecord]:
    """Pages whose first tag is damaged, between others."""
    if number := max(len(END.findall(data)), int(b"</text>" in data)):
        yield BadRecord(DAMAGED, f"after {place}", records=number, size=len(data))


def _text(element: Any) -> str:
    """With the names of characters that nobody knows as they stand."""
    return "".join(element.itertext())


def _page(page: Any, place: str, wiki: _Wiki) -> RawDocument | BadRecord:
    title = page.findtext("{*}title") or ""
    text = _text(page.find(TEXT))
    size = len(text.encode("utf-8"))
    if (page.findtext("{*}ns") or "0") != "0":
        return left_out("not in the article namespace", f"{place} {title}", size)
    if page.find("{*}redirect") is not None:
        return left_out("redirect", f"{place} {title}", size)
    if "#" in text[:100] and REDIRECT.match(text):
        return left_out("redirect", f"{place} {title}", size)
    for name, english in wiki.names.items():
        text = re.sub(rf"(\[\[\s*){re.escape(name)}\s*:", rf"\1{english}:", text, flags=re.IGNORECASE)
    url = f"{wiki.base}/{title.replace(' ', '_')}" if wiki.base else title
    return RawDocument(place, url, "mediawiki", f"= {title} =\n{text}", size)
