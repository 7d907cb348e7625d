"""EPUB: a book is one document, its chapters in the order in which they are read."""

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from altiplano.corpus.readers.archives.archive import DAMAGED, Member, members, unpack, zip_members
from altiplano.corpus.readers.charsets.decoding import decode, xml_encoding
from altiplano.corpus.readers.opening import File, bare, size_of
from altiplano.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    FileRead,
    RawDocument,
    Record,
    left_out,
)
from altiplano.optional_imports import extra

PAGES = (".xhtml", ".html", ".htm", ".xml")
CONTAINER = "META-INF/container.xml"
DIRECTORY = "directories of books"


def read(path: File, place: str) -> Iterator[Record]:
    if bare(path.name).lower().endswith(".epub"):
        try:
            with path.open("rb") as packed:  # not whole: a book may have many pictures
                yield from _book(zip_members(packed, place, _is_wanted), place)
        except DAMAGED as error:
            yield BadRecord("damaged book", f"{place}: {error}", size=size_of(path), taken=0)
        return
    for member in members(path, place, lambda name: name.lower().endswith(".epub")):
        if not isinstance(member, tuple):
            yield member
            continue
        name, data = member
        try:
            found = list(_book(unpack(data, "book.zip", name, _is_wanted), name))
        except DAMAGED as error:
            found = [BadRecord("damaged book", f"{name}: {error}", size=len(data))]
        # of the archive around them books take as much as they have there
        yield from _inside(found, len(data))


def _inside(found: list[Record], size: int) -> Iterator[Record]:
    """All bytes of the packed book are its document's, or those of the first thing that was wrong with it."""
    records = [record for record in found if not isinstance(record, FileRead)]
    owner = next((record for record in records if isinstance(record, RawDocument)), records[0] if records else None)
    for record in records:
        yield replace(record, taken=size if record is owner else 0)
    if owner is None:
        yield left_out("book without pages", "", size)


def _is_wanted(name: str) -> bool:
    return name == CONTAINER or name.lower().endswith((*PAGES, ".opf", ".ncx"))


def _book(found: Iterator[Member], place: str) -> Iterator[Record]:
    pages: dict[str, bytes] = {}
    held = 0
    end = FileRead(0, {})
    for member in found:
        if isinstance(member, tuple):
            held += len(member[1])
            if held <= MAX_RECORD_BYTES:
                pages[member[0].removeprefix(f"{place}/")] = member[1]
        elif isinstance(member, FileRead):
            end = member
        else:
            yield member
    if held > MAX_RECORD_BYTES:
        yield BadRecord(TOO_LONG, place, size=held)
        yield end
        return
    named = _reading_order(pages)
    order = [name for name in named if name in pages]
    if gone := [name for name in named if name not in pages]:
        yield BadRecord("page that a book names and has not", f"{place}: {gone[0]}", records=len(gone), taken=0)
    if not order:
        yield BadRecord("book without a reading order", place, size=held)
        yield end
        return
    size = sum(len(pages[name]) for name in order)
    parts = []
    for name in order:
        text, repair = decode(pages[name], xml_encoding(pages[name]))
        if repair:
            yield BadRecord(repair, f"{place}/{name}", lost=False, taken=0)
        parts.append(text)
    yield RawDocument(place, place, "book", "\n".join(map(_body, parts)), size)
    others = sum(len(data) for name, data in pages.items() if name not in order and name.lower().endswith(PAGES[:3]))
    if others:
        yield left_out("page of a book outside of its reading order", place, others)
    directory = held - size - others
    yield FileRead(end.unpacked, {**end.framing, DIRECTORY: directory})


def _reading_order(pages: dict[str, bytes]) -> list[str]:
    """The pages that the package's spine names."""
    etree = extra("lxml.etree")

    def parsed(name: str) -> Any:
        parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True)
        try:
            return etree.fromstring(pages[name], parser) if name in pages else None
        except etree.XMLSyntaxError:  # nothing of it is XML
            return None

    container = parsed(CONTAINER)
    root = container.find(".//{*}rootfile") if container is not None else None
    path = unquote(root.get("full-path") or "") if root is not None else ""
    package = parsed(path) if path in pages else None
    if package is None:
        return []
    files = {
        item.get("id"): posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(item.get("href") or "")))
        for item in package.iterfind(".//{*}manifest/{*}item")
    }
    order = [files.get(item.get("idref"), "") for item in package.iterfind(".//{*}spine/{*}itemref")]
    return [name for name in dict.fromkeys(order) if name.lower().endswith(PAGES)]


def _body(page: str) -> str:
    """What stands between the tags of the body."""
    start = page.find("<body")
    start = page.find(">", start) + 1 if start >= 0 else 0
    end = page.rfind("</body")
    return page[start : end if end > start else None]
