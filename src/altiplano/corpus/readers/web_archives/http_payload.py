"""HTTP responses as web archives keep them: headers, and a body that may be chunked and compressed, or not.

What a server says about its encodings is often wrong, and crawlers store bodies decoded under headers that still say
otherwise. So each encoding is tried, and where it does not fit the body stays as it is.
"""

import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from altiplano.corpus.readers.archives.decompression import BROKEN, Stream
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES
from altiplano.optional_imports import extra

STORED = ("", "identity", "none", "binary", "utf-8", "utf8", "8bit", "7bit")
"""What servers write where they mean that nothing is encoded."""

HEAD_END, NO_HEAD_END = re.compile(rb"\r?\n\r?\n"), re.compile(rb"\r?\n(?=<)")
PIECE = 64 * 2**10
SMALL_STEP = 64
CHUNK_HEADER = 4096
GZIP, ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"

STATUS_LINE = re.compile(rb"[\r\n]{0,8}(HTTP/|(?:HTTP|ICY)[ \t]{1,8}[1-5]\d\d\b)", re.IGNORECASE)
"""Streaming servers say ICY, and some leave out the version."""

FIRST_CHUNK = re.compile(rb"[0-9a-fA-F]{1,8}[ \t]{0,8}(?:;[^\r\n]{0,1000})?\r\n")

Decoder = Callable[[bytes], tuple[bytes, bool]]
"""The decoded bytes as far as they go, or one more than a record may have; and whether that is all."""

NOT_AS_DECLARED = "not encoded as its headers say, read as it is"
NOT_DECLARED = "compressed, which its headers do not say"
CHUNKS_NOT_DECLARED = "in chunks, which its headers do not say"
CUT_ENCODING = "encoded body damaged, read as far as it goes"
UNKNOWN_ENCODING = "unknown Content-Encoding, read as it is"


class TooLongError(Exception):
    """A body that unfolds to more than a record may have."""


class UndecodableError(Exception):
    """A body that is compressed, but so damaged that nothing of it can be read."""


@dataclass(frozen=True)
class Response:
    """``headers`` by name in lower case, in their order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    head_size: int = 0
    """Bytes of status line and headers."""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def encodings(self, name: str) -> list[str]:
        values = [value for key, value in self.headers if key == name]
        return [part.partition(";")[0].strip(" \t\"'").lower() for value in values for part in value.split(",")]


def parse(block: bytes) -> Response | None:
    """None where the block does not begin with a status line. Header lines may end in LF alone, and the line after
    them may be missing."""
    status_line = STATUS_LINE.match(block)
    if not status_line:
        return None
    end = HEAD_END.search(block) or NO_HEAD_END.search(block)
    head_end, body_at = end.span() if end else (len(block), len(block))
    first, *lines = block[status_line.start(1) : head_end].decode("utf-8", "replace").split("\n")
    words = first.split(None, 2)
    status = int(words[1]) if len(words) > 1 and words[1].isascii() and words[1].isdigit() and len(words[1]) < 5 else 0
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and headers:
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}")
        elif ":" in line:
            name, _, value = line.partition(":")
            headers.append((name.strip().lower(), value.strip()))
    return Response(status, headers, block[body_at:], body_at)


def payload(response: Response) -> tuple[bytes, list[str]]:
    """The decoded body, and what was wrong on the way. Raises TooLongError or UndecodableError."""
    body, wrong = response.body, []
    transfer = [name for name in response.encodings("transfer-encoding") if name not in STORED]
    if "chunked" in transfer:
        transfer.remove("chunked")
        body, problem = _joined_chunks(body)
        wrong += [problem] if problem else []
    for _ in range(MAX_UNDECLARED):
        joined, problem = _joined_chunks(body) if FIRST_CHUNK.match(body) else (b"", "none")
        if problem or not joined:  # no page's own numbers would count its lines to the last
            break
        body = joined
        wrong.append(CHUNKS_NOT_DECLARED)
    declared = [name for name in response.encodings("content-encoding") if name not in STORED]
    for name in reversed([*declared, *transfer]):
        if name not in DECODERS:
            wrong.append(UNKNOWN_ENCODING)
            continue
        body, problem = _decoded(body, DECODERS[name])
        wrong += [problem] if problem else []
    for _ in range(MAX_UNDECLARED):
        decoder = next((decoder for magic, decoder in UNDECLARED.items() if body.startswith(magic)), None)
        if decoder is None:
            break
        body, problem = _decoded(body, (decoder,))
        wrong.append(problem or NOT_DECLARED)
    return body, list(dict.fromkeys(wrong))


def _joined_chunks(body: bytes) -> tuple[bytes, str]:
    """What follows a chunk that cannot be told is taken as it stands."""
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        line_end = body.find(b"\n", at, at + CHUNK_HEADER)
        size = _chunk_size(body[at:line_end]) if line_end >= 0 else None
        if size is None:
            return b"".join([*parts, body[at:]]), CUT_ENCODING if parts else NOT_AS_DECLARED
        if size == 0:
            return b"".join(parts), ""  # what may follow are trailers
        at = line_end + 1
        parts.append(body[at : at + size])
        at += size
        at += 2 if body.startswith(b"\r\n", at) else body.startswith(b"\n", at)
    return b"".join(parts), CUT_ENCODING if parts else ""


def _chunk_size(line: bytes) -> int | None:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
        return None
    return int(digits, 16)


def _decoded(body: bytes, decoders: tuple[Decoder, ...]) -> tuple[bytes, str]:
    """By the first decoder that fits the beginning; what follows the end of the encoded data is passed over."""
    known = next((decoder for magic, decoder in UNDECLARED.items() if body.startswith(magic)), None)
    for decoder in (known,) if known else decoders:
        found, whole = decoder(body)
        if len(found) > MAX_RECORD_BYTES:
            raise TooLongError
        if found or whole:
            return found, "" if whole else CUT_ENCODING
    if known or b"\0" in body[:PIECE]:
        raise UndecodableError
    return body, NOT_AS_DECLARED if body else ""


def _zlib(body: bytes, wbits: int, step: int = PIECE) -> tuple[bytes, bool]:
    parts, size, at = [], 0, 0
    decoder = zlib.decompressobj(wbits)
    try:
        while at < len(body) and size <= MAX_RECORD_BYTES:
            data = decoder.decompress(body[at : at + step], MAX_RECORD_BYTES + 1 - size)
            parts.append(data)
            size += len(data)
            at = min(at + step, len(body)) - len(decoder.unused_data or decoder.unconsumed_tail)
            if decoder.eof:
                if wbits < 0 or not body.startswith(GZIP, at):
                    break
                decoder = zlib.decompressobj(wbits)
    except zlib.error:
        # zlib keeps to itself what it had made of the piece with the error in it
        return _zlib(body, wbits, SMALL_STEP) if step > SMALL_STEP else (b"".join(parts), False)
    return b"".join(parts), decoder.eof


def _brotli(body: bytes) -> tuple[bytes, bool]:
    decoder, parts, size = extra("brotli").Decompressor(), [], 0
    try:
        data = decoder.process(body, output_buffer_limit=PIECE)
        while data and size <= MAX_RECORD_BYTES:
            parts.append(data)
            size += len(data)
            data = b"" if decoder.is_finished() else decoder.process(b"", output_buffer_limit=PIECE)
    except extra("brotli").error:
        return b"".join(parts), False
    return b"".join(parts), decoder.is_finished()


def _zstd(body: bytes) -> tuple[bytes, bool]:
    parts, size = [], 0
    try:
        with Stream(io.BytesIO(body), ".zst") as stream:
            while size <= MAX_RECORD_BYTES and (data := stream.read1(PIECE)):
                parts.append(data)
                size += len(data)
    except BROKEN:
        return b"".join(parts), False
    return b"".join(parts), True


_GZIP, _ZLIB = partial(_zlib, wbits=31), partial(_zlib, wbits=15)
DECODERS: dict[str, tuple[Decoder, ...]] = {
    "gzip": (_GZIP, _ZLIB),
    "x-gzip": (_GZIP, _ZLIB),
    "deflate": (_ZLIB, partial(_zlib, wbits=-15)),
    "br": (_brotli,),
    "zstd": (_zstd,),
}
"""``deflate`` is zlib's format by the standard, and the bare one by the custom of some servers."""

UNDECLARED: dict[bytes, Decoder] = {GZIP: _GZIP, ZSTD: _zstd}
"""No page begins with these bytes: whatever the headers say or leave out, it is compressed so."""

MAX_UNDECLARED = 3
"""Times that a page is compressed; a hostile one may be so many times over."""
