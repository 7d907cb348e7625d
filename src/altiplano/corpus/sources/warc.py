"""WARC web archives, compressed or not: the HTML pages among the responses."""

import re
from collections.abc import Iterator
from pathlib import Path

from altiplano.corpus.extras import extra
from altiplano.corpus.sources.decoding import decode
from altiplano.corpus.sources.raw import MAX_RECORD_BYTES, Bad, Raw

META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?([a-zA-Z0-9_-]+)", re.IGNORECASE)


def read(path: Path, place: str) -> Iterator[Raw | Bad]:
    """Pages answered with status 200. A page cut short by the end of the file is counted, not kept."""
    warc = extra("fastwarc.warc")
    number = -1
    try:
        with path.open("rb") as stream:
            for number, record in enumerate(
                warc.ArchiveIterator(stream, record_types=warc.WarcRecordType.response, parse_http=True)
            ):
                found = _page(record, f"{place}#{number}")
                if found is not None:
                    yield from found
    except (OSError, ValueError, RuntimeError) as error:
        yield Bad("damaged WARC, the rest is lost", f"{place} after record {number}: {error}")
        return
    if number < 0:
        yield Bad("no response records in the WARC", place)


def _page(record: object, place: str) -> list[Raw | Bad] | None:
    headers = record.http_headers  # type: ignore[attr-defined]
    kind = record.http_content_type or "text/html"  # type: ignore[attr-defined]
    if headers is None or headers.status_code != 200 or "html" not in kind:
        return None
    url = record.headers.get("WARC-Target-URI") or ""  # type: ignore[attr-defined]
    length = record.content_length  # type: ignore[attr-defined]
    if length > MAX_RECORD_BYTES:
        return [Bad("record above 64 MiB", f"{place} {url}")]
    body = record.reader.read()  # type: ignore[attr-defined]
    if len(body) < length:
        return [Bad("cut off by the end of the file", f"{place} {url}: {len(body):,} of {length:,} bytes")]
    meta = META_CHARSET.search(body[:4096])
    charset = record.http_charset or (meta.group(1).decode("ascii") if meta else None)  # type: ignore[attr-defined]
    text, repair = decode(body, charset)
    page = Raw(place, url, "html", text, len(body))
    return [Bad(repair, f"{place} {url}", lost=False), page] if repair else [page]
