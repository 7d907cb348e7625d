"""WARC web archives, compressed or not: the HTML pages among the responses, and the texts of WET files."""

import io
import re
import zlib
from collections.abc import Iterator

from altiplano.corpus.extras import extra
from altiplano.corpus.sources.blocklist import opt_out
from altiplano.corpus.sources.decoding import decode
from altiplano.corpus.sources.opening import File
from altiplano.corpus.sources.raw import MAX_RECORD_BYTES, Bad, Raw, left_out

DAMAGED = "damaged WARC, the rest is lost"
CUT = "cut off by the end of the file"
META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?([a-zA-Z0-9_-]+)", re.IGNORECASE)


def read(path: File, place: str) -> Iterator[Raw | Bad]:
    """Pages answered with status 200. What the end of the file cuts short is counted, not kept."""
    warc = extra("fastwarc.warc")
    number, position = -1, 0
    found: list[Raw | Bad] = []
    kinds = warc.WarcRecordType.response | warc.WarcRecordType.conversion
    try:
        with path.open("rb") as stream:
            pages = warc.ArchiveIterator(stream, record_types=kinds, parse_http=True, auto_decode="all")
            for number, record in enumerate(pages):
                position = record.stream_pos
                found = _page(record, f"{place}#{number}")
                yield from found
        if number < 0:
            yield Bad("no response records in the WARC", place)
        elif not (found and isinstance(found[-1], Bad) and found[-1].reason == CUT) and _is_cut(path, position):
            yield Bad(CUT, f"{place} after record {number}")
    except (OSError, ValueError, RuntimeError, zlib.error) as error:
        yield Bad(DAMAGED, f"{place} after record {number}: {error}")
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # FastWARC's Rust gives up this way when a file cannot seek
            raise
        yield Bad(DAMAGED, f"{place} after record {number}: {error}")


def _is_cut(path: File, position: int) -> bool:
    """Whether a gzip member from ``position`` on does not end: the iterator stops there without a word."""
    if path.suffix != ".gz":
        return False
    with path.open("rb") as stream:
        member = zlib.decompressobj(wbits=31)
        if stream.seek(0, io.SEEK_END) <= position:  # counted in what a single member unfolds to
            return False
        stream.seek(position)
        try:
            while data := member.unused_data or member.unconsumed_tail or stream.read(1 << 20):
                if member.eof:
                    member = zlib.decompressobj(wbits=31)
                member.decompress(data, 1 << 24)  # in pieces: a bomb must not unfold in memory
        except zlib.error:  # the file is one member for all records, and this is no beginning of it
            return False
    return not member.eof


def _page(record: object, place: str) -> list[Raw | Bad]:
    headers = record.http_headers  # type: ignore[attr-defined]
    url = record.headers.get("WARC-Target-URI") or ""  # type: ignore[attr-defined]
    where = f"{place} {url}"
    is_text = headers is None and "text/plain" in (record.headers.get("Content-Type") or "")  # type: ignore[attr-defined]
    if not is_text:
        kind = record.http_content_type or "text/html"  # type: ignore[attr-defined]
        if headers is None or headers.status_code != 200 or "html" not in kind:
            return []
    length = record.content_length  # type: ignore[attr-defined]
    if length > MAX_RECORD_BYTES:
        return [Bad("record above 64 MiB", where)]
    body = record.reader.read(MAX_RECORD_BYTES + 1)  # type: ignore[attr-defined]
    if len(body) > MAX_RECORD_BYTES:  # a page that was stored compressed
        return [Bad("record above 64 MiB", where)]
    encoded = headers is not None and ("Content-Encoding" in headers or "Transfer-Encoding" in headers)
    if len(body) < length and not encoded:
        return [Bad(CUT, f"{where}: {len(body):,} of {length:,} bytes")]
    if is_text:
        text, repair = decode(body)
    else:
        if directive := opt_out(list(headers.items()), body):
            return [left_out(f"reserved by its publisher ({directive})", where)]
        meta = META_CHARSET.search(body[:4096])
        charset = record.http_charset or (meta.group(1).decode("ascii") if meta else None)  # type: ignore[attr-defined]
        text, repair = decode(body, charset)
    page = Raw(place, url, "text" if is_text else "html", text, len(body))
    return [Bad(repair, where, lost=False), page] if repair else [page]
