"""Web archives made for the tests, good and odd."""

import io
import random
import zlib

import pytest


def words(number: int, count: int = 120) -> bytes:
    chosen = random.Random(number)
    return b" ".join(b"".join(chosen.choices([b"ta", b"ri", b"mo", b"ke", b"lu"], k=3)) for _ in range(count))


def page(number: int) -> bytes:
    return b"<html><body><p>page %d " % number + words(number) + b"</p></body></html>"


def record(url: str, block: bytes, kind: str = "response", media: str = "application/http", eol: str = "\r\n") -> bytes:
    lines = ["WARC/1.0", f"WARC-Type: {kind}", f"WARC-Target-URI: {url}", "WARC-Record-ID: <urn:uuid:0>",
             "WARC-Date: 2026-01-01T00:00:00Z",
             f"Content-Type: {media}", f"Content-Length: {len(block)}", "", ""]  # fmt: skip
    return eol.join(lines).encode() + block + eol.encode() * 2


def response(number: int | str, body: bytes, *headers: str, media: str = "text/html; charset=utf-8") -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {media}", *headers, "", ""])
    return record(f"http://a.example/{number}", head.encode() + body)


def chunked(data: bytes, size: int = 700, extension: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces) + end


def deflated(data: bytes, wbits: int) -> bytes:
    stream = zlib.compressobj(wbits=wbits)
    return stream.compress(data) + stream.flush()


def warcio_payloads(data: bytes) -> dict[str, bytes]:
    iterator = pytest.importorskip("warcio.archiveiterator", reason="warcio is not installed").ArchiveIterator
    return {
        r.rec_headers.get_header("WARC-Target-URI").removeprefix("http://a.example/"): r.content_stream().read()
        for r in iterator(io.BytesIO(data))
        if r.rec_type == "response"
    }


CHUNKED, GZIP, DEFLATE, BROTLI = (
    "Transfer-Encoding: chunked", "Content-Encoding: gzip", "Content-Encoding: deflate", "Content-Encoding: br",
)  # fmt: skip
