"""Web archives as they are found: encodings that lie, damage in the middle; warcio is the oracle."""

import gzip
import random
import re
import zlib
from pathlib import Path

import brotli
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altiplano.corpus.readers import blocklist
from altiplano.corpus.readers.raw import left_out
from altiplano.corpus.readers.web_archives import http_payload, warc, warc_records
from altiplano.corpus.readers.web_archives.unpacking import FREE_BYTES
from corpus.readers.made_warc import (
    BROTLI,
    CHUNKED,
    DEFLATE,
    GZIP,
    chunked,
    deflated,
    page,
    record,
    response,
    warcio_payloads,
    words,
)
from corpus.support import split

GOOD = 20
"""Pages after the odd one."""


def pages_of(tmp_path: Path, data: bytes, name: str = "a.warc") -> tuple[dict[str, str], list]:
    path = tmp_path / name
    path.write_bytes(data)
    raw, bad = split(warc.read(path, name))
    return {r.url.removeprefix("http://a.example/"): r.text for r in raw}, bad


PAGE = page(0)


GZIPPED = gzip.compress(PAGE, mtime=0)


ODD = {
    "chunked": (chunked(PAGE), CHUNKED),
    "chunked and gzip": (chunked(GZIPPED, 50), CHUNKED, GZIP),
    "chunk extensions": (chunked(PAGE, extension=b";name=value"), CHUNKED),
    "chunked, no last chunk": (chunked(PAGE, end=b""), CHUNKED),
    "chunked over a plain body": (PAGE, CHUNKED),
    "gzip": (GZIPPED, GZIP),
    "gzip in capitals": (GZIPPED, "content-encoding: GZIP"),
    "gzip over a plain body": (PAGE, GZIP),
    "chunked and gzip over a plain body": (PAGE, CHUNKED, GZIP),
    "chunked over gzip alone": (GZIPPED, CHUNKED, GZIP),
    "gzip, other bytes after it": (GZIPPED + b"<!-- cache -->", GZIP),
    "deflate": (deflated(PAGE, 15), DEFLATE),
    "raw deflate": (deflated(PAGE, -15), DEFLATE),
    "none": (PAGE, "Content-Encoding: none"),
    "UTF-8": (PAGE, "Content-Encoding: UTF-8"),
    "unknown encoding": (PAGE, "Content-Encoding: secret"),
    "header of 70 kB": (PAGE, "X-Long: " + "y" * 70_000),
}


BEYOND_WARCIO = {
    "br": (brotli.compress(PAGE), BROTLI),  # warcio 1.8.1 knows an older brotli only
    "br over a plain body": (PAGE, BROTLI),
    "x-gzip": (GZIPPED, "Content-Encoding: x-gzip"),
    "twice gzip": (gzip.compress(GZIPPED), "Content-Encoding: gzip, gzip"),
    "twice gzip in two headers": (gzip.compress(GZIPPED), GZIP, GZIP),
    "br in gzip": (gzip.compress(brotli.compress(PAGE)), "Content-Encoding: br, gzip"),
    "gzip as transfer encoding": (chunked(GZIPPED), "Transfer-Encoding: gzip, chunked"),
    "zstd": (pa.compress(PAGE, "zstd", asbytes=True), "Content-Encoding: zstd"),
    "bad checksum": (GZIPPED[:-8] + bytes(8), GZIP),
    "two gzip members": (gzip.compress(PAGE[:300]) + gzip.compress(PAGE[300:]), GZIP),
    "chunks that end in LF": (chunked(PAGE).replace(b"\r\n", b"\n"), CHUNKED),
    "chunks that no header speaks of": (chunked(PAGE), "X: y"),
    "chunks that no header speaks of, and gzip": (chunked(GZIPPED, 50), GZIP),
    "chunks in chunks": (chunked(chunked(PAGE, 100)), CHUNKED),
    "chunked in capitals": (chunked(PAGE), "Transfer-Encoding: Chunked"),
}


def with_good_pages(odd: bytes) -> bytes:
    return odd + b"".join(response(i, page(i)) for i in range(1, GOOD + 1))


@pytest.mark.parametrize("name", [*ODD, *BEYOND_WARCIO])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_an_odd_response_costs_neither_itself_nor_what_follows(tmp_path, name, packed):
    body, *headers = {**ODD, **BEYOND_WARCIO}[name]
    records = [response("odd", body, *headers), *(response(i, page(i)) for i in range(1, GOOD + 1))]
    data = b"".join(map(gzip.compress, records) if packed else records)
    found, bad = pages_of(tmp_path, data, "a.warc.gz" if packed else "a.warc")
    assert found.pop("odd") == PAGE.decode()
    assert found == {str(i): page(i).decode() for i in range(1, GOOD + 1)}
    assert not any(b.lost for b in bad)
    if name in ODD:
        theirs = warcio_payloads(data)
        assert theirs["odd"] == PAGE and len(theirs) == GOOD + 1


@pytest.mark.parametrize(
    "line", ["ICY 200 OK", "icy 200", "HTTP 200 OK", "http/1.0 200 ok", "\r\nHTTP/1.1 200 OK", "HTTP/2 200"]
)
def test_status_lines_that_servers_write(tmp_path, line):
    block = f"{line}\r\nContent-Type: text/html\r\n\r\n".encode() + PAGE
    found, bad = pages_of(tmp_path, with_good_pages(record("http://a.example/odd", block)))
    assert found.pop("odd") == PAGE.decode() and len(found) == GOOD and not bad
    gone = record("http://a.example/odd", block.replace(b"200", b"404"))
    found, bad = pages_of(tmp_path, with_good_pages(gone))
    assert len(found) == GOOD and [b.reason for b in bad] == ["left out: answered with status 4xx"]


@pytest.mark.parametrize("where", [1, 200, -30, -3])
@pytest.mark.parametrize("name", ["chunked", "chunked and gzip", "gzip", "deflate", "raw deflate", "br", "zstd"])
def test_a_cut_body_is_read_as_far_as_it_goes_and_counted(tmp_path, name, where):
    body, *headers = {**ODD, **BEYOND_WARCIO}[name]
    found, bad = pages_of(tmp_path, with_good_pages(response("odd", body[:where], *headers)))
    assert len(found) >= GOOD
    if where == 1:
        return
    if "odd" in found:
        assert PAGE.decode().startswith(found["odd"][:300])
        assert any("read as far as it goes" in b.reason for b in bad) or where == -3
    else:
        assert [b.reason for b in bad if b.lost] == ["encoded body too damaged to be read"] and name == "zstd"


@pytest.mark.parametrize("bad_size", [b"zz\r\n", b"-5\r\n", b"fffffffffffffffff\r\n", b"\r\n", b"0x5\r\n"])
def test_a_bad_chunk_size_ends_the_chunks(tmp_path, bad_size):
    body = chunked(PAGE[:300], end=b"") + bad_size + PAGE[300:]
    found, bad = pages_of(tmp_path, with_good_pages(response("odd", body, CHUNKED)))
    assert found["odd"].startswith(PAGE[:300].decode()) and found["odd"].endswith(PAGE[300:].decode())
    assert len(found) == GOOD + 1 and any("as far as it goes" in b.reason for b in bad)


def test_a_body_that_unfolds_without_end_is_left_out_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(http_payload, "MAX_RECORD_BYTES", 2**20)
    zeros = bytes(8 * 2**20)
    bombs = {GZIP: gzip.compress(zeros), DEFLATE: zlib.compress(zeros), BROTLI: brotli.compress(zeros),
             "Content-Encoding: zstd": pa.compress(zeros, "zstd", asbytes=True)}  # fmt: skip
    bombs["Content-Encoding: gzip, gzip"] = gzip.compress(gzip.compress(zeros))
    data = b"".join(response("odd", body, header) for header, body in bombs.items())
    found, bad = pages_of(tmp_path, with_good_pages(data))
    assert len(found) == GOOD and [b.reason for b in bad] == ["record above 64 MiB"] * len(bombs)


def test_a_member_that_unfolds_without_end_costs_itself(tmp_path):
    stream = zlib.compressobj(9, wbits=31)
    bomb = [stream.compress(response("odd", b"x")[:-5] + bytes(2**20))]
    bomb += [stream.compress(bytes(2**20)) for _ in range(FREE_BYTES // 2**20 + 8)]
    data = b"".join(bomb) + stream.flush() + gzip.compress(response("good", PAGE))
    found, bad = pages_of(tmp_path, data, "a.warc.gz")
    assert "good" in found and any(b.lost and "unfolds" in b.example for b in bad)


@pytest.mark.parametrize("size", [1, 30, 300])
@pytest.mark.parametrize("at", [0.0, 0.13, 0.5, 0.77, 0.99])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_damage_costs_only_the_records_that_it_touches(tmp_path, packed, at, size):
    records = [response(i, page(i)) for i in range(40)]
    records = [gzip.compress(r, mtime=0) for r in records] if packed else records
    data = bytearray(b"".join(records))
    start = int(at * (len(data) - size))
    data[start : start + size] = random.Random(size).randbytes(size)
    touched, begin = 0, 0
    for each in records:
        touched += begin < start + size and begin + len(each) > start
        begin += len(each)
    found, bad = pages_of(tmp_path, bytes(data), "a.warc.gz" if packed else "a.warc")
    sound = sum(found.get(str(i)) == page(i).decode() for i in range(40))
    assert sound >= 40 - touched
    if packed:
        lost = [b for b in bad if b.lost]
        assert sound == len(found) and sum(b.records for b in lost) >= min(touched, 40 - sound)
        assert lost or sound == 40
        assert sum(b.size for b in lost) < 4 * len(records[0]) + size


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("at", range(10))
def test_a_flipped_bit_in_the_header_of_a_gzip_member_costs_one_record(tmp_path, at, bit):
    """That of an extra field, for one, which then has a length and swallows as many bytes."""
    records = [bytearray(gzip.compress(response(i, page(i)), mtime=0)) for i in range(12)]
    records[2][at] ^= 1 << bit
    found, bad = pages_of(tmp_path, b"".join(records), "a.warc.gz")
    assert all(text == page(int(name)).decode() for name, text in found.items())
    assert len(found) >= 11 and len(found) + sum(b.records for b in bad) == 12


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("before_its_end", range(8, 40, 3))
def test_what_a_flipped_bit_at_the_end_of_the_file_leaves_is_not_taken_for_text(tmp_path, before_its_end, bit):
    """The member may then have no end, and its checksum is never seen."""
    records = [bytearray(gzip.compress(response(i, page(i)), mtime=0)) for i in range(3)]
    records[2][-before_its_end] ^= 1 << bit
    found, bad = pages_of(tmp_path, b"".join(records), "a.warc.gz")
    assert list(found) == ["0", "1"] and sum(b.records for b in bad) == 1
    assert all(text == page(int(name)).decode() for name, text in found.items())


def announcing(record: bytes, length: int) -> bytes:
    return re.sub(rb"(?<=\r\nContent-Length: )\d+", b"%d" % length, record, count=1)


def test_a_file_that_is_cut_off_in_a_large_record_has_lost_one(tmp_path):
    large = response("film", random.Random(0).randbytes(2_000_000), media="video/mp4")
    data = b"".join(gzip.compress(response(i, page(i)), mtime=0) for i in range(20)) + gzip.compress(large)[:1_000_000]
    found, bad = pages_of(tmp_path, data, "a.warc.gz")
    assert len(found) == 20 and [b.records for b in bad] == [1]


def test_records_that_share_a_gzip_member_with_a_wrong_length_are_read_up_to_its_damage(tmp_path):
    records = [response(i, page(i)) for i in range(40)]
    records[5] = announcing(records[5], 200)
    found, _ = pages_of(tmp_path, gzip.compress(b"".join(records), mtime=0)[:-1000], "a.warc.gz")
    assert len(found) >= 20 and all(found[str(i)] == page(i).decode() for i in range(6, len(found)))


@pytest.mark.parametrize("words_of_page", [500, 60_000])
def test_a_wrong_length_in_a_damaged_member_gives_no_text(tmp_path, words_of_page):
    good = [gzip.compress(response(i, page(i)), mtime=0) for i in range(2)]
    long = response("long", b"<html><body><p>" + words(3, words_of_page) + b"</p></body></html>")
    damaged = bytearray(gzip.compress(announcing(long, 2000), mtime=0))
    damaged[-8] ^= 1  # its checksum
    found, bad = pages_of(tmp_path, good[0] + bytes(damaged) + good[1], "a.warc.gz")
    assert list(found) == ["0", "1"] and bad


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_spliced_and_cut_archives_lose_nothing_in_silence(tmp_path_factory, data):
    records = [gzip.compress(response(i, page(i)), mtime=0) for i in range(12)]
    whole = bytearray(b"".join(records))
    kind = data.draw(st.sampled_from(["flip", "cut out", "insert", "cut off", "twice"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    length = data.draw(st.integers(1, 400))
    if kind == "flip":
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "cut out":
        del whole[at : at + length]
    elif kind == "insert":
        whole[at:at] = data.draw(st.binary(min_size=1, max_size=length))
    elif kind == "cut off":
        del whole[at:]
    else:
        whole[at:at] = whole[max(0, at - length) : at]
    found, bad = pages_of(tmp_path_factory.mktemp("warc"), bytes(whole), "a.warc.gz")
    left = sum(1 for end in range(1, 13) if len(b"".join(records[:end])) <= at)
    assert len(found) >= (left if kind == "cut off" else 9)
    assert all(text == page(int(name)).decode() for name, text in found.items())
    assert len(found) == 12 or bad or at in {len(b"".join(records[:end])) for end in range(13)}


@pytest.mark.parametrize("cut", [3, 40, 150, 260, 400])
def test_a_plain_archive_cut_anywhere_is_counted(tmp_path, cut):
    data = response(1, page(1)) + response(2, page(2))[:cut]
    found, bad = pages_of(tmp_path, data)
    assert list(found) == ["1"] and [b.records for b in bad] == [1] and bad[0].size == cut
    assert bad[0].reason == ("damaged WARC" if cut == 3 else "cut off by the end of the file")


@pytest.mark.parametrize("before", [b"", b"\r\n\r\n", b"\xef\xbb\xbf", b"some log lines\n"])
def test_a_plain_archive_under_a_compressed_name(tmp_path, before):
    found, bad = pages_of(tmp_path, before + response(1, page(1)) + response(2, page(2)), "a.warc.gz")
    assert list(found) == ["1", "2"] and sum(b.size for b in bad) == len(before.lstrip())


def test_one_gzip_member_for_all_records_cut_off_is_counted(tmp_path):
    data = gzip.compress(b"".join(response(i, page(i)) for i in range(30)), mtime=0)
    assert len(pages_of(tmp_path, data, "a.warc.gz")[0]) == 30
    found, bad = pages_of(tmp_path, data[: len(data) * 2 // 3], "a.warc.gz")
    assert 15 < len(found) < 25 and len(bad) == 1 and bad[0].lost


def test_what_is_lost_of_one_member_counts_as_many_pages_as_fit_into_it(tmp_path):
    records = [response(i, page(i) + random.Random(i).randbytes(5000).hex().encode()) for i in range(400)]
    data = bytearray(gzip.compress(b"".join(records), mtime=0))
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    found, bad = pages_of(tmp_path, bytes(data), "a.warc.gz")
    lost = sum(b.records for b in bad)
    assert 150 < len(found) < 201 and 0.6 * (400 - len(found)) < lost < 1.6 * (400 - len(found))


def test_padding_is_no_damage(tmp_path):
    records = [gzip.compress(response(i, page(i))) for i in range(3)]
    data = records[0] + bytes(700) + records[1] + records[2] + bytes(5000)
    found, bad = pages_of(tmp_path, data, "a.warc.gz")
    assert len(found) == 3 and not bad
    found, bad = pages_of(tmp_path, response(1, page(1)) + bytes(5000))
    assert len(found) == 1 and not bad


def test_a_record_that_announces_too_much_swallows_none_of_the_next(tmp_path):
    lying = response(0, PAGE)
    length = next(line for line in lying.split(b"\r\n") if line.startswith(b"Content-Length"))
    lying = lying.replace(length, b"Content-Length: 5000")
    for pack in (bytes, gzip.compress):
        data = pack(lying) + b"".join(pack(response(i, page(i))) for i in range(1, 9))
        found, bad = pages_of(tmp_path, data)
        assert set(found) == {str(i) for i in range(1, 9)} and [(b.lost, b.records) for b in bad] == [(True, 1)]


def test_header_lines_that_end_in_lf_and_types_in_any_case(tmp_path):
    http = b"HTTP/1.0 200 OK\nCONTENT-TYPE: Text/HTML\n\n" + PAGE
    records = [record("http://a.example/lf", http, eol="\n"), response("case", PAGE, media="Text/HTML")]
    records += [record("http://a.example/resource", PAGE, "resource", "text/html"), response("none", PAGE, media="")]
    found, bad = pages_of(tmp_path, b"".join(records))
    assert found == dict.fromkeys(("lf", "case", "resource", "none"), PAGE.decode()) and not bad


def test_what_is_no_page_is_counted_with_its_reason(tmp_path):
    records = [
        response("gif", b"GIF", media="image/gif"), response("css", b"x", media="text/css"),
        record("http://a.example/r", b"", "revisit"), record("http://a.example/log", b"x", "resource", "text/plain"),
        record("http://a.example/q", b"GET / HTTP/1.1\r\n\r\n", "request"), response("ok", PAGE),
        record("dns:a.example", b"20260101\na.example. 1 IN A 192.0.2.1", "response", "text/dns"),
    ]  # fmt: skip
    found, bad = pages_of(tmp_path, b"".join(records))
    assert list(found) == ["ok"] and not any(b.lost for b in bad)
    reasons = [
        "content type image/*",
        "content type text/*",
        "revisit record",
        "content type text/*",
        "response record",
    ]
    assert [b.reason for b in bad] == [left_out(reason, "").reason for reason in reasons]


def test_of_what_is_too_long_only_pages_are_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(warc_records, "MAX_RECORD_BYTES", 300_000)
    long = bytes(400_000)
    records = [response("film", long, media="video/mp4"), response("page", long), response("ok", PAGE)]
    records.append(record("http://a.example/text", long, "conversion", "text/plain"))
    for pack in (bytes, gzip.compress):
        found, bad = pages_of(tmp_path, b"".join(map(pack, records)))
        assert list(found) == ["ok"]
        assert [(b.reason, b.lost) for b in bad] == [
            (left_out("content type video/*", "").reason, False),
            ("record above 64 MiB", True),
            ("record above 64 MiB", True),
        ]


def test_brackets_around_the_address_go(tmp_path):
    (tmp_path / "block.txt").write_text("blocked.example\n")
    data = record("<http://blocked.example/x>", b"HTTP/1.1 200 OK\r\n\r\n" + PAGE)
    path = tmp_path / "a.warc"
    path.write_bytes(data)
    (raw,), _ = split(warc.read(path, "a"))
    assert raw.url == "http://blocked.example/x"
    assert blocklist.is_blocked(raw.url, blocklist.load(str(tmp_path), "block.txt"))


def test_a_charset_in_a_comment_is_not_obeyed(tmp_path):
    body = '<!-- <meta charset="utf-16"> --><meta charset="iso-8859-2"><p>Zażółć gęślą jaźń</p>'.encode("iso-8859-2")
    found, _ = pages_of(tmp_path, response("x", body, media="text/html"))
    assert "Zażółć gęślą jaźń" in found["x"]


def test_addresses_in_any_bytes(tmp_path):
    data = record("http://a.example/XX", b"HTTP/1.1 200 OK\r\n\r\n" + PAGE).replace(b"XX", b"\xff\xe9")
    found, bad = pages_of(tmp_path, data)
    assert len(found) == 1 and not bad
