"""WARC web archives, compressed or not: the HTML pages among the responses, and the texts of WET files."""

import re
from collections.abc import Iterator

from altiplano.corpus.readers.blocklist import opt_out
from altiplano.corpus.readers.decoding import decode
from altiplano.corpus.readers.opening import File
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, BadRecord, RawDocument, left_out
from altiplano.corpus.readers.web_archives.http_payload import Response, TooLongError, UndecodableError, parse, payload
from altiplano.corpus.readers.web_archives.warc_records import IGNORED, Lost, WarcRecord, records

DAMAGED = "damaged WARC"
CUT = "cut off by the end of the file"
PAGE_BYTES = 16 * 2**10
"""Bytes that a page takes in an archive, about; used where no page was found."""

META_BYTES = 4096
META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?([a-zA-Z0-9_-]+)", re.IGNORECASE)
HTTP_CHARSET = re.compile(r"charset\s*+=\s*+[\"']?([a-zA-Z0-9_:.-]+)", re.IGNORECASE)


def read(path: File, place: str) -> Iterator[RawDocument | BadRecord]:
    """Pages answered with status 200. What is damaged or cut off is counted, not kept, with the bytes it had."""
    number, pages, lost = -1, 0, False
    for record in records(path):
        if isinstance(record, Lost):
            lost = True
            yield _lost(record, place, number, pages)
            continue
        if record.kind in IGNORED:
            continue
        number += 1
        found = _page(record, f"{place}#{number}")
        pages += isinstance(found[-1], RawDocument)
        yield from found
    if number < 0 and not lost:
        yield BadRecord("no response records in the WARC", place)


def _lost(lost: Lost, place: str, number: int, pages: int) -> BadRecord:
    """Where nobody knows how many pages there were: as many as the bytes before had in so much space."""
    per_page = lost.position / pages if pages else PAGE_BYTES
    count = 1 if lost.is_one else max(1, round(lost.size / per_page))
    reason = CUT if lost.reason.startswith("cut off") else DAMAGED
    where = f"{place} after record {number}: {lost.url} {lost.reason}, {lost.size:,} bytes from {lost.position:,} on"
    return BadRecord(reason, where, records=count, size=lost.size)


def _page(record: WarcRecord, place: str) -> list[RawDocument | BadRecord]:
    """The page, and what was repaired in it; or why there is none."""
    where = f"{place} {record.url}"
    kind = _media_type(record.headers.get("content-type", ""))
    if record.kind == "conversion" and kind == "text/plain":
        if record.too_long:
            return [BadRecord(TOO_LONG, where)]
        text, repair = decode(record.block)
        return _with_repairs(RawDocument(place, record.url, "text", text, len(record.block)), [repair], where)
    if record.kind == "resource":
        response: Response | None = Response(200, [("content-type", kind)], record.block)
    elif record.kind == "response" and (kind.startswith("application/http") or record.block.startswith(b"HTTP/")):
        response = parse(record.block)
    else:
        return [left_out(f"{record.kind or 'unnamed'} record"[:40], where)]
    if response is None:
        return [BadRecord("no HTTP response in the record", where)]
    if response.status != 200:
        return [left_out(f"answered with status {response.status // 100}xx", f"{where} {response.status}")]
    return _html(record, response, place, where)


def _html(record: WarcRecord, response: Response, place: str, where: str) -> list[RawDocument | BadRecord]:
    declared = response.header("content-type")
    kind = _media_type(declared) or "text/html"
    if "html" not in kind:
        return [left_out(f"content type {_family(kind)}", f"{where} {kind}")]
    if record.too_long:
        return [BadRecord(TOO_LONG, where)]
    try:
        body, wrong = payload(response)
    except TooLongError:
        return [BadRecord(TOO_LONG, where)]
    except UndecodableError:
        return [BadRecord("encoded body too damaged to be read", where, size=len(response.body))]
    if len(body) > MAX_RECORD_BYTES:
        return [BadRecord(TOO_LONG, where)]
    if directive := opt_out(response.headers, body):
        return [left_out(f"reserved by its publisher ({directive})", where)]
    text, repair = decode(body, _charset(declared, body))
    return _with_repairs(RawDocument(place, record.url, "html", text, len(body)), [*wrong, repair], where)


def _with_repairs(page: RawDocument, repairs: list[str], where: str) -> list[RawDocument | BadRecord]:
    return [*(BadRecord(repair, where, lost=False) for repair in repairs if repair), page]


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _family(kind: str) -> str:
    """A content type as one of a few reasons, whatever servers write."""
    family = kind.partition("/")[0]
    known = family in ("text", "image", "video", "audio", "application", "font")
    return f"{family}/*" if known else "unknown"


def _charset(declared: str, body: bytes) -> str | None:
    """The charset by the header, else by the first ``<meta>`` outside comments."""
    if match := HTTP_CHARSET.search(declared):
        return match[1]
    meta = META_CHARSET.search(_without_comments(body[:META_BYTES]))
    return meta[1].decode("ascii") if meta else None


def _without_comments(html: bytes) -> bytes:
    first, *others = html.split(b"<!--")
    return first + b"".join(other.partition(b"-->")[2] for other in others)
