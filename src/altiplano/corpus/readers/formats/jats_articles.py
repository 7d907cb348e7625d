"""JATS XML, as journals and PubMed Central publish it: files of one or more articles, or archives of them."""

import re
from collections.abc import Iterator

from altiplano.corpus.readers.archives.archive import members
from altiplano.corpus.readers.charsets.decoding import decode, wide_codec, xml_encoding
from altiplano.corpus.readers.opening import File
from altiplano.corpus.readers.raw import BadRecord, RawDocument, Record

BEGIN = re.compile(rb"<(?:[\w.-]{1,20}:)?article(?=[\s>/])")
END = re.compile(rb"</(?:[\w.-]{1,20}:)?article\s{0,20}>")
DECLARATION = re.compile(r"^\s*<\?xml\s[^>]{0,200}\?>")
OUTER = re.compile(rb"<([A-Za-z][\w:.-]{0,60})[^<>]{0,2000}>\s{0,2000}\Z")
"""The element around several articles."""

HEAD_BYTES = 4096
PROLOG_BYTES = 64 * 2**10
"""XML declaration and document type, whose entities every article of the file needs."""

HIDDEN = {b"<!--": b"-->", b"<![CDATA[": b"]]>"}

CUT = "XML cut off, read as far as it goes"


def read(path: File, place: str) -> Iterator[Record]:
    for member in members(path, place, lambda name: name.lower().endswith((".xml", ".nxml"))):
        if not isinstance(member, tuple):
            yield member
            continue
        name, data = member
        raw_size = len(data)
        is_wide = data.startswith((b"\xff\xfe", b"\xfe\xff")) or bool(wide_codec(data))
        if is_wide:
            data = DECLARATION.sub("", decode(data)[0]).encode("utf-8")
        shown = _without_hidden(data)
        begins = [match.start() for match in BEGIN.finditer(shown)]
        if not begins:
            yield BadRecord("no <article> in the XML", name, size=raw_size)
            continue
        if b"\0" in data:
            yield BadRecord("zero bytes in the XML", name, taken=0)
        declared, prolog = xml_encoding(data), data[: begins[0]]
        ends = [*begins[1:], len(data)]
        if (outer := OUTER.search(shown[: begins[0]][-HEAD_BYTES:])) and b"</" + outer[1] not in shown[begins[-1] :]:
            yield BadRecord(CUT, name, taken=0)
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            where = name if len(begins) == 1 else f"{name}#{number}"
            text, repair = decode((prolog if len(prolog) <= PROLOG_BYTES else b"") + data[begin:end], declared)
            if repair:
                yield BadRecord(repair, where, lost=False, taken=0)
            endings = len(END.findall(shown, begin, end))
            if not endings:
                yield BadRecord(CUT, where, taken=0)
            elif endings > 1:  # only the first is read
                yield BadRecord("article whose beginning is damaged", where, records=endings - 1, taken=0)
            size = end - (begin if number else 0)
            # the text is UTF-8 from here on, whatever the declaration said
            taken = (0 if number else raw_size) if is_wide else None
            yield RawDocument(where, where, "jats", DECLARATION.sub("", text), size, taken=taken)


def _without_hidden(data: bytes) -> bytes:
    """The same with spaces where comments and literal text are, which may spell tags."""
    for begin, end in HIDDEN.items():
        first, *pieces = data.split(begin)
        if not pieces:
            continue
        parts = [first]
        for piece in pieces:
            inside, found, rest = piece.partition(end)
            parts.append(b" " * len(begin + inside + found) + rest if found else begin + piece)
        data = b"".join(parts)
    return data
