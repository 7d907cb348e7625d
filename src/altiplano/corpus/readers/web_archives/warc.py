"""WARC web archives, compressed or not: the HTML pages among the responses, and the texts of WET files."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from altiplano.corpus.readers.archives.decompression import CONTROL
from altiplano.corpus.readers.charsets.decoding import decode, html_charset, wide_codec
from altiplano.corpus.readers.charsets.whatwg import codec_of
from altiplano.corpus.readers.opening import File
from altiplano.corpus.readers.opt_outs import SITE_FILE_BYTES, opt_out, site_file
from altiplano.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    FileRead,
    RawDocument,
    Record,
    left_out,
    records_lost,
)
from altiplano.corpus.readers.web_archives.http_payload import (
    STATUS_LINE,
    Response,
    TooLongError,
    UndecodableError,
    parse,
    payload,
)
from altiplano.corpus.readers.web_archives.warc_records import IGNORED, Lost, WarcRecord, records

DAMAGED = "damaged WARC"
CUT = "cut off by the end of the file"
SAMPLE, CONTROL_SHARE = 4096, 0.05
PAGE_BYTES = 16 * 2**10
"""Bytes that a page takes in an archive, about; used where no page was found."""

HTTP_HEADERS, OTHER_RECORDS = "HTTP headers", "warcinfo, request and metadata records"


def read(path: File, place: str) -> Iterator[Record]:
    """Pages answered with status 200. What is damaged or cut off is counted, not kept, with the bytes it had."""
    number, pages, lost = -1, 0, False
    framing: Counter[str] = Counter()
    for record in records(path):
        if isinstance(record, FileRead):
            yield FileRead(record.unpacked, {**record.framing, **framing})
        elif isinstance(record, Lost):
            lost = True
            yield _lost(record, place, number, pages)
        elif record.kind in IGNORED:
            framing[OTHER_RECORDS] += record.length
        else:
            number += 1
            found, head = _page(record, f"{place}#{number}")
            framing[HTTP_HEADERS] += head
            pages += isinstance(found[-1], RawDocument)
            # what the record took of the archive is that of its page, or of what became of it
            yield from (replace(repair, taken=0) for repair in found[:-1])
            size = record.length - head
            last = found[-1]
            yield replace(last, taken=size) if isinstance(last, RawDocument) else replace(last, size=size)
    if number < 0 and not lost:
        yield BadRecord("no response records in the WARC", place)


def _lost(lost: Lost, place: str, number: int, pages: int) -> BadRecord:
    """Where nobody knows how many pages there were: as many as the bytes before had in so much space."""
    count = 1 if lost.is_one else records_lost(lost.size, lost.position, pages, PAGE_BYTES)
    reason = CUT if lost.reason.startswith("cut off") else DAMAGED
    after = f"after record {number}" if number >= 0 else "before its first record"
    where = f"{place} {after}: {lost.url} {lost.reason}, {lost.size:,} bytes from {lost.position:,} on"
    return BadRecord(reason, where, records=count, size=lost.size, taken=lost.taken)


def _page(record: WarcRecord, place: str) -> tuple[list[RawDocument | BadRecord], int]:
    """The page, and what was repaired in it, or why there is none; and how many bytes its HTTP headers have."""
    where = f"{place} {record.url}"
    kind = _media_type(record.headers.get("content-type", ""))
    if record.kind == "conversion" and kind == "text/plain":
        if record.too_long:
            return [BadRecord(TOO_LONG, where)], 0
        text, repair = decode(record.block)
        return _with_repairs(RawDocument(place, record.url, "text", text, len(record.block)), [repair], where), 0
    if record.kind == "resource":
        response: Response | None = Response(
            200, [("content-type", record.headers.get("content-type", ""))], record.block
        )
    elif record.kind == "response" and (kind.startswith("application/http") or STATUS_LINE.match(record.block)):
        response = parse(record.block)
    elif record.kind:
        return [left_out(f"{record.kind} record"[:40], where)], 0
    else:
        return [BadRecord("record without a WARC-Type", where)], 0
    if response is None:
        return [BadRecord("no HTTP response in the record", where)], 0
    if response.status != 200:
        why = f"answered with status {response.status // 100}xx"
        return [left_out(why, f"{where} {response.status}", len(response.body))], response.head_size
    return _html(record, response, place, where), response.head_size


def _html(record: WarcRecord, response: Response, place: str, where: str) -> list[RawDocument | BadRecord]:
    declared = response.header("content-type")
    kind = _media_type(declared) or "text/html"
    if "html" not in kind:
        return [left_out(f"content type {_family(kind)}", f"{where} {kind}", len(response.body))]
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
    charset = html_charset(declared, body)
    if _is_binary(body, charset):
        return [left_out("not text, whatever its content type", where, len(response.body))]
    if directive := opt_out(response.headers, body):
        return [left_out(f"reserved by its publisher ({directive})", where, len(response.body))]
    text, repair = decode(body, charset)
    return _with_repairs(RawDocument(place, record.url, "html", text, len(body)), [*wrong, repair], where)


def _is_binary(body: bytes, charset: str | None) -> bool:
    """Pictures, PDFs and the like: a tenth of their bytes are control characters."""
    sample = body[:SAMPLE]
    if body.startswith((b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\3\4")):
        return True
    if wide_codec(body) or codec_of(charset or "").startswith(("utf-16", "utf-32")):
        return False
    return len(CONTROL.findall(sample)) > CONTROL_SHARE * len(sample) and not body.startswith(
        (b"\xff\xfe", b"\xfe\xff")
    )


def _with_repairs(page: RawDocument, repairs: list[str], where: str) -> list[RawDocument | BadRecord]:
    return [*(BadRecord(repair, where, lost=False) for repair in repairs if repair), page]


def site_files(path: File) -> Iterator[tuple[str, str, str]]:
    """Host, kind and text of every ``robots.txt``, ``ai.txt`` and ``tdmrep.json`` in the archive."""
    for record in records(path):
        if not isinstance(record, WarcRecord) or record.kind not in ("response", "resource") or record.too_long:
            continue
        host, kind = site_file(record.url)
        if not kind:
            continue
        response = parse(record.block) if STATUS_LINE.match(record.block) else Response(200, [], record.block)
        if response is None or response.status != 200:
            continue
        try:
            body, _ = payload(response)
        except (TooLongError, UndecodableError):
            continue
        yield host, kind, decode(body[:SITE_FILE_BYTES])[0]


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _family(kind: str) -> str:
    """A content type as one of a few reasons, whatever servers write."""
    family = kind.partition("/")[0]
    known = family in ("text", "image", "video", "audio", "application", "font")
    return f"{family}/*" if known else "unknown"
