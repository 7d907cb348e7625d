"""Hostile web archives take time by their length alone."""

import gzip
import struct
import zlib
from pathlib import Path

import pytest
from growth import grows_faster_than_its_input

from altiplano.corpus.readers.web_archives import warc
from corpus.readers.made_warc import CHUNKED, chunked, response, words


def lying_records(count: int) -> bytes:
    """Each announces nearly all that follows it, and ends nowhere near a record."""
    return b"".join(
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n" % max(140 * (count - i) - 77, 9) + b"x" * 90
        for i in range(count)
    )


def members_that_share_a_bomb(count: int, final: bytes) -> bytes:
    """Each begins with a stored block that ends where the bomb begins, which none has an end to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(4_000 * count)) + packer.flush(zlib.Z_FULL_FLUSH)
    head, start = b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"WARC/1.0\r\n"
    size = len(head) + 5 + len(start)
    stored = [len(start) + size * (count - 1 - at) for at in range(count)]
    begun = [head + b"\0" + struct.pack("<HH", length, 65535 - length) + start for length in stored]
    return b"".join(begun) + bomb + final


HOSTILE = {
    "records that announce too much": lying_records,
    "beginnings of gzip members": lambda count: gzip.compress(b"WARC/1.0\r\n") + b"\x1f\x8b\x08\0" * (20 * count),
    "gzip members that break off": lambda count: gzip.compress(words(1, 20) * 3)[:-9] * count,
    "empty gzip members": lambda count: gzip.compress(b"") * (4 * count),
    "no header's end": lambda count: b"WARC/1.0\r\na: b" * (5 * count),
    "headers alone": lambda count: b"WARC/1.0\r\n\r\n" * (5 * count),
    "zero bytes": lambda count: b"WARC/1.0\r\nContent-Length: 0\r\n\r\n" + bytes(300 * count),
    "chunks of one byte": lambda count: response("x", chunked(b"y" * (20 * count), 1), CHUNKED),
    "members that share a bomb": lambda count: members_that_share_a_bomb(count // 12, b""),
    "members that share a damaged bomb": lambda count: members_that_share_a_bomb(count // 12, b"\xff" * 9),
    "comments": lambda count: response("x", b"<!--" * (20 * count), media="text/html"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_take_time_by_their_length_alone(tmp_path, name):
    def make(count: int) -> Path:
        path = tmp_path / f"{count}.warc"
        path.write_bytes(HOSTILE[name](count))
        return path

    assert not grows_faster_than_its_input(lambda path: list(warc.read(path, "a")), make, 3_000)
