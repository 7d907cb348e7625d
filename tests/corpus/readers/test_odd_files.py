"""Files that are not what their names and headers say, and archives without their end."""

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from altiplano.corpus.readers.archives.archive import LOST
from altiplano.corpus.readers.formats import arxiv, jats_articles, jsonl, mediawiki_dump, parquet, text
from altiplano.corpus.readers.raw import TOO_LONG, FileRead, RawDocument, taken_of
from altiplano.corpus.readers.web_archives import warc
from altiplano.corpus.readers.web_archives.http_payload import NOT_DECLARED
from corpus.readers.made_warc import BROTLI, DEFLATE, GZIP, page, record, response
from corpus.support import split


def texts_in(folder, name, data, reader):
    (folder / name).write_bytes(data)
    records = list(reader.read(folder / name, name))
    raw, bad = split(records)
    unpacked = sum(r.unpacked - sum(r.framing.values()) for r in records if isinstance(r, FileRead))
    assert unpacked == sum(taken_of(r) for r in (*raw, *bad))
    return [document.text for document in raw], bad


def lines(count: int) -> bytes:
    chosen = random.Random(count)
    return b"".join(json.dumps({"text": f"{n} {chosen.getrandbits(90)}"}).encode() + b"\n" for n in range(count))


def tar_bytes(count: int) -> bytes:
    out, chosen = io.BytesIO(), random.Random(1)
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(count):
            info = tarfile.TarInfo(f"{number}.txt")
            info.size = 900
            archive.addfile(info, io.BytesIO(chosen.randbytes(450).hex().encode()))
    return out.getvalue()


def zip_bytes(count: int, method: int = zipfile.ZIP_DEFLATED, seekable: bool = True) -> bytes:
    class Pipe(io.BytesIO):
        def seek(self, *_):
            raise OSError("a pipe")

        tell = seek

    out, chosen = io.BytesIO() if seekable else Pipe(), random.Random(2)
    with zipfile.ZipFile(out, "w", method) as archive:
        for number in range(count):
            archive.writestr(f"{number}.txt", chosen.randbytes(450).hex())
        archive.writestr("logo.png", chosen.randbytes(450))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", gzip.compress(lines(9), mtime=0)),
        ("b.jsonl", bz2.compress(lines(9))),
        ("c.jsonl", lzma.compress(lines(9))),
        ("d.jsonl.gz", lines(9)),
        ("e.jsonl.zst", lines(9)),
        ("f.jsonl.bz2", gzip.compress(lines(9), mtime=0)),
    ],
)
def test_the_first_bytes_say_how_a_file_is_compressed(tmp_path, name, data):
    texts, bad = texts_in(tmp_path, name, data, jsonl)
    assert len(texts) == 9 and not bad


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_tar_is_read_packed_or_not(tmp_path, name, pack):
    texts, bad = texts_in(tmp_path, name, pack(tar_bytes(3)), text)
    assert len(texts) == 3 and not bad


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_small_damaged_file_counts_as_what_it_lost(tmp_path, pack):
    data = pack(lines(300))
    half = len(data) // 2
    texts, bad = texts_in(tmp_path, "a.jsonl" + (".gz" if pack is gzip.compress else ".xz"),
                          data[:half] + b"\xff" * 40 + data[half + 40 :], jsonl)  # fmt: skip
    assert 100 < len(texts) < 200
    assert 240 < len(texts) + sum(b.records for b in bad if b.lost) < 350


def test_a_damaged_block_counts_with_its_bytes(tmp_path):
    data = bz2.compress(lines(300))
    _, bad = texts_in(tmp_path, "a.jsonl.bz2", data[:2000] + b"\xff" * 40 + data[2040:], jsonl)
    assert [b.size for b in bad] == [len(data)]


def test_a_cut_tar_counts_the_members_that_it_lost(tmp_path):
    data = gzip.compress(tar_bytes(400))
    texts, bad = texts_in(tmp_path, "a.tar.gz", data[: len(data) // 2] + b"\xff" * 40, text)
    assert 150 < len(texts) < 210  # what is cut off may be of any size; what is damaged is known
    damaged = data[: len(data) // 2] + b"\xff" * 40 + data[len(data) // 2 + 40 :]
    texts, bad = texts_in(tmp_path, "b.tar.gz", damaged, text)
    assert 350 < len(texts) + sum(b.records for b in bad if b.lost) < 450


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("seekable", [True, False])
def test_the_members_of_a_cut_zip_are_read(tmp_path, method, seekable):
    data = zip_bytes(9, method, seekable)
    cut = data[: data.index(b"PK\1\2") + 5]
    if method == zipfile.ZIP_STORED and not seekable:  # whose ends are said in the directory alone
        texts, bad = texts_in(tmp_path, "a.zip", cut, text)
        assert not texts and [(b.reason, b.size) for b in bad] == [(LOST, len(cut))]
        return
    texts, bad = texts_in(tmp_path, "a.zip", cut, text)
    assert len(texts) == 9 and [b.reason for b in bad if b.lost] == [LOST]
    assert [b.records for b in bad if not b.lost] == [1]
    texts, bad = texts_in(tmp_path, "b.zip", cut[: len(cut) // 2], text)
    assert 3 <= len(texts) <= 5 and [b.reason for b in bad if b.lost][-1:] == [LOST]


def test_a_damaged_member_of_a_cut_zip_costs_itself_alone(tmp_path):
    data = bytearray(zip_bytes(9)[:-300])
    data[60:64] = b"\xff" * 4
    texts, bad = texts_in(tmp_path, "a.zip", bytes(data), text)
    assert len(texts) == 8 and [b.reason for b in bad if b.lost] == ["damaged archive member", LOST]


def test_a_cut_zip_that_unfolds_without_end_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("altiplano.corpus.readers.archives.archive.FREE_BYTES", 10_000)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(50):
            archive.writestr(f"{number}.txt", b"a" * 1_000_000)
    texts, bad = texts_in(tmp_path, "a.zip", out.getvalue()[:-100], text)
    assert 0 < len(texts) < 50 and sum(b.records for b in bad if b.lost) >= 1


def web(tmp_path, *records):
    return texts_in(tmp_path, "a.warc", b"".join([*records, response("good", page(1))]), warc)


@pytest.mark.parametrize(
    ("body", "headers", "reasons"),
    [
        (gzip.compress(page(2), mtime=0), [], [NOT_DECLARED]),
        (gzip.compress(gzip.compress(page(2), mtime=0), mtime=0), [GZIP], [NOT_DECLARED]),
        (gzip.compress(page(2), mtime=0), ["Content-Encoding: none"], [NOT_DECLARED]),
        (gzip.compress(page(2), mtime=0), [DEFLATE], []),
        (gzip.compress(page(2), mtime=0), [BROTLI], []),
        (zlib.compress(page(2)), [GZIP], []),
        (gzip.compress(page(2), mtime=0), ['Content-Encoding: "gzip"'], []),
        (gzip.compress(page(2), mtime=0), ["Content-Encoding: gzip;q=1.0"], []),
    ],
)
def test_a_page_is_unpacked_by_its_first_bytes(tmp_path, body, headers, reasons):
    texts, bad = web(tmp_path, response(1, body, *headers))
    assert texts[0] == page(2).decode() and len(texts) == 2
    assert [b.reason for b in bad] == reasons


@pytest.mark.parametrize("start", [b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftypmp42"])
def test_pictures_and_pdfs_under_the_name_of_html_are_left_out(tmp_path, start):
    texts, bad = web(tmp_path, response(1, start + random.Random(3).randbytes(5000)))
    assert len(texts) == 1 and [b.reason for b in bad] == ["left out: not text, whatever its content type"]


def test_pages_with_a_few_control_characters_and_wide_ones_are_text(tmp_path):
    odd = page(2).replace(b"page", b"pa\0\x01ge")
    wide = "<p>漢字かな交じり文を書く。</p>" * 20
    texts, bad = web(
        tmp_path, response(1, odd), response(2, wide.encode("utf-16-le"), media="text/html; charset=utf-16le"),
        response(3, wide.encode("utf-16")),
    )  # fmt: skip
    assert len(texts) == 4 and texts[1] == texts[2] == wide and not [b for b in bad if b.lost]


def test_a_resource_has_the_charset_of_its_record(tmp_path):
    said = "<p>Příliš žluťoučký kůň</p>"
    block = record("http://a.example/r", said.encode("cp1250"), "resource", "text/html; charset=windows-1250")
    texts, bad = web(tmp_path, block)
    assert texts[0] == said and not bad


@pytest.mark.parametrize("head_end", [b"\r\n", b"\n", b"\n\r\n", b"\r\n\n"])
def test_the_end_of_http_headers_may_be_odd(tmp_path, head_end):
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html" + head_end + page(2)
    texts, _ = web(tmp_path, record("http://a.example/1", block))
    assert texts[0] == page(2).decode()


def test_names_of_rows_are_text(tmp_path):
    _, bad = texts_in(tmp_path, "a.jsonl", b'{"text": "a", "url": "http://a/\\ud800"}\n[1]\n', jsonl)
    (document,) = (r for r in jsonl.read(tmp_path / "a.jsonl", "a") if isinstance(r, RawDocument))
    assert document.url == "http://a/?" and [b.reason for b in bad] == ["JSON line that is no object"]
    texts, _ = texts_in(tmp_path, "b.jsonl", b'{"text": "", "content": "words"}\n{"text": ""}\n', jsonl)
    assert texts == ["words", ""]
    pq.write_table(pa.table({"text": pa.array(["a"], pa.string_view()), "url": [b"http://a/"]}), tmp_path / "a.parquet")
    (document, _) = parquet.read(tmp_path / "a.parquet", "a")
    assert (document.text, document.url) == ("a", "http://a/")
    pq.write_table(pa.table({"text": ["# T"], "path": ["a.md"]}), tmp_path / "b.parquet")
    assert next(iter(parquet.read(tmp_path / "b.parquet", "b"))).markup == "markdown"


TEX = rb"\documentclass{article}\begin{document}One paper.\end{document}"


def tar_of_files(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    "data", [gzip.compress(TEX, mtime=0), gzip.compress(tar_of_files(**{"main.tex": TEX}), mtime=0), TEX]
)
def test_a_submission_as_arxiv_hands_it_out(tmp_path, data):
    (tmp_path / "2401.00001.gz").write_bytes(data)
    raw, bad = split(arxiv.read(tmp_path / "2401.00001.gz", "2401.00001.gz"))
    assert [document.text for document in raw] == [TEX.decode()] and not bad
    (tmp_path / "all.tar").write_bytes(tar_of_files(**{"2401/2401.00001.gz": data}))
    raw, bad = split(arxiv.read(tmp_path / "all.tar", "all.tar"))
    assert [document.text for document in raw] == [TEX.decode()] and not bad


def test_files_that_a_paper_imports_from_folders():
    files = {
        "main.tex": b"\\documentclass{a}\\begin{document}One\\import{parts/}{two}\\subimport*{ ./parts/ }{four.tex}"
        b"\\subfileinclude{five}\\import{}{six}\\importantly{a}{b}\\end{document}",
        "parts/two.tex": b"Two\\subimport{deep}{three}",
        "parts/deep/three.tex": b"Three\\input{../four}",
        "parts/four.tex": b"Four",
        "five.tex": b"Five",
        "six.tex": b"Six",
    }
    for place in ("", "a.tar/2401/", "s3://papers/a.tar/2401/"):
        (raw,) = arxiv._documents({place + name: data for name, data in files.items()})
        assert "OneTwoThreeFourFourFiveSix\\importantly{a}{b}" in raw.text, place


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_told_apart(tmp_path):
    names = ["a.tex", "b/a.tex", "a.tex", "a#2.tex", "a.tex"]
    packed, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, tarfile.open(fileobj=tarred, mode="w") as tape:
        for number, name in enumerate(names):
            data = f"\\section{{{number}}} words {number * 7}".encode()
            archive.writestr(name, data)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tape.addfile(member, io.BytesIO(data))
    for name, data in (("a.zip", packed.getvalue()), ("b.zip", packed.getvalue()[:-60]), ("a.tar", tarred.getvalue())):
        (tmp_path / name).write_bytes(data)
        raw, _ = split(arxiv.read(tmp_path / name, name))
        assert {document.place for document in raw} == {
            f"{name}/{each}" for each in ("a.tex", "b/a.tex", "a#2.tex", "a#2#2.tex", "a#3.tex")
        }
        assert len(raw) == len(names)


def test_what_macos_packs_beside_each_file_is_left_out(tmp_path):
    data = tar_of_files(**{"a.txt": b"words", "._a.txt": b"\0\5\x16\7", "__MACOSX/._b.txt": b"\0\5\x16\7"})
    texts, bad = texts_in(tmp_path, "a.tar", data, text)
    assert texts == ["words"] and [(b.lost, b.records) for b in bad] == [(False, 2)]


def test_articles_in_utf_16(tmp_path):
    whole = (
        '<?xml version="1.0" encoding="UTF-16"?>' + "<set>" + "<article><body><p>é</p></body></article>" * 2 + "</set>"
    )
    texts, bad = texts_in(tmp_path, "a.xml", whole.encode("utf-16"), jats_articles)
    assert len(texts) == 2 and not bad and all("<p>é</p>" in each for each in texts)


RECORDS = [{"text": "один\n[{"}, {"text": "zwei, {", "meta": [{"a": [1, 2]}, {}]}, {"text": "三🐝"}]
TEXTS = ["один\n[{", "zwei, {", "三🐝"]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("written", [
    json.dumps(RECORDS), json.dumps(RECORDS, indent=2), json.dumps(RECORDS, ensure_ascii=False),
    f"\n {json.dumps(RECORDS)}\n\n",
    "\n".join(json.dumps(each, indent=2) for each in RECORDS), "\r\n".join(json.dumps(each) for each in RECORDS),
])  # fmt: skip
def test_json_that_is_no_lines_of_utf_8(tmp_path, codec, written):
    for name, data in (("a.json", written.encode(codec)), ("b.json.gz", gzip.compress(written.encode(codec)))):
        assert texts_in(tmp_path, name, data, jsonl) == (TEXTS, [])


def test_what_is_damaged_in_an_array_of_json(tmp_path, monkeypatch):
    monkeypatch.setattr("altiplano.corpus.readers.formats.json_values.PIECE", 16)
    records = [json.dumps({"text": f"words {number}", "tags": [{}]}) for number in range(9)]
    records[3] = '{"text": "words", "tags": [{}'
    records[5] = '"words"'
    texts, bad = texts_in(tmp_path, "a.json", f"[{', '.join(records)}]".encode(), jsonl)
    assert texts == [f"words {number}" for number in (0, 1, 2, 4, 6, 7, 8)]
    assert [(b.reason, b.records) for b in bad] == [("malformed JSON record", 1)] * 2
    texts, bad = texts_in(tmp_path, "a.json", f"[{', '.join(records[:3])}".encode(), jsonl)
    assert len(texts) == 3 and [b.reason for b in bad] == [jsonl.REST_LOST]
    texts, bad = texts_in(tmp_path, "a.json", b'[{"text": "a"}, ' + b"{," * 1000, jsonl)
    assert texts == ["a"] and sum(b.records for b in bad) >= 100
    monkeypatch.setattr("altiplano.corpus.readers.formats.json_values.MAX_RECORD_BYTES", 100)
    long = f'[{records[0]}, {{"text": "{"x" * 1000}"}}, {records[1]}]'
    texts, bad = texts_in(tmp_path, "a.json", long.encode(), jsonl)
    assert texts[0] == "words 0" and texts[-1] == "words 1" and bad[0].reason == TOO_LONG


def test_articles_that_are_only_spoken_of(tmp_path):
    hidden = "<!-- <article>old</article> --><p><![CDATA[<article>]]></p><!-- </article> -->"
    whole = f"<set><!-- <article> --><article><body>{hidden}<p>one</p></body></article><article>two</article></set>"
    texts, bad = texts_in(tmp_path, "a.xml", whole.encode(), jats_articles)
    assert len(texts) == 2 and not bad and "<p>one</p>" in texts[0]
    texts, bad = texts_in(tmp_path, "b.xml", b"<article><!-- <article><p>never closed</p></article>", jats_articles)
    assert len(texts) == 2 and len(bad) == 1


def wiki_page(title: str, text: str) -> str:
    return f"<page><title>{title}</title><ns>0</ns><revision><text>{text}</text></revision></page>\n"


@pytest.mark.parametrize(("broken", "text", "reason"), [
    (wiki_page("B", "caf&eacute; &nbsp;au lait"), "= B =\ncafé \xa0au lait", None),
    (wiki_page("B", "here &nothing; else"), "= B =\nhere &nothing; else", mediawiki_dump.REPAIRED),
    (wiki_page("B", "here</b> & it <br> is"), "= B =\nhere</b> & it <br> is", mediawiki_dump.REPAIRED),
    (wiki_page("B", "here").replace("</page>", "</pag"), "= B =\nhere", mediawiki_dump.REPAIRED),
    (wiki_page("B", "here").replace("<page>", "<pa"), None, mediawiki_dump.DAMAGED),
    (wiki_page("B", "here").replace("<revision>", "<"), None, mediawiki_dump.DAMAGED),
    ("<page><page>", None, mediawiki_dump.DAMAGED),
])  # fmt: skip
def test_a_broken_page_of_a_dump_costs_no_other(tmp_path, broken, text, reason):
    dump = f"<mediawiki>{wiki_page('A', 'one')}{broken}{wiki_page('C', 'three')}</mediawiki>"
    texts, bad = texts_in(tmp_path, "a.xml", dump.encode(), mediawiki_dump)
    assert texts == ["= A =\none", *([text] if text else []), "= C =\nthree"]
    assert {(b.reason, b.lost) for b in bad} == ({(reason, not text)} if reason else set())


def test_a_dump_in_another_character_set(tmp_path):
    dump = f'<?xml version="1.0" encoding="iso-8859-1"?><mediawiki>{wiki_page("A", "für")}</mediawiki>'
    assert texts_in(tmp_path, "a.xml", dump.encode("latin-1"), mediawiki_dump) == (["= A =\nfür"], [])


def test_a_page_with_too_long_a_history_and_one_with_too_long_a_text(tmp_path, monkeypatch):
    monkeypatch.setattr(mediawiki_dump, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(mediawiki_dump, "PIECE", 300)
    revisions = "".join(f"<revision><text>{number} {'x' * 90}</text></revision>" for number in range(100))
    history = f"<page><title>B</title><ns>0</ns>{revisions}</page>"
    pages = wiki_page("A", "one"), history, wiki_page("C", "y" * 5000), wiki_page("D", "four")
    dump = f"<mediawiki>{''.join(pages)}</mediawiki>"
    texts, bad = texts_in(tmp_path, "a.xml", dump.encode(), mediawiki_dump)
    assert texts == ["= A =\none", f"= B =\n99 {'x' * 90}", "= D =\nfour"]
    older, long = bad
    assert (older.reason, older.lost) == ("left out: older revision", False) and 9_000 < older.size < len(revisions)
    assert (long.reason, long.lost, long.records) == (TOO_LONG, True, 1) and long.size >= 5_000


def test_templates_that_vanish_are_counted(tmp_path):
    page = wiki_page("A", "{{Infobox a|b={{convert|5|km}}}} {{cite_web|x}} {{lang-de|Haus}} {{DEFAULTSORT:A}} {{{1|}}}")
    _, bad = texts_in(tmp_path, "a.xml", f"<mediawiki>{page}</mediawiki>".encode(), mediawiki_dump)
    assert [(b.reason, b.lost, b.records) for b in bad] == [(mediawiki_dump.VANISHED, False, 3)]
    assert "Infobox a" in bad[0].example


def test_of_a_pages_history_the_last_revision_is_read(tmp_path):
    revisions = "".join(f"<revision><text>{each}</text></revision>" for each in ("first", "second", "the last one"))
    dump = f"<mediawiki><page><title>A</title><ns>0</ns>{revisions}</page></mediawiki>"
    texts, bad = texts_in(tmp_path, "a.xml", dump.encode(), mediawiki_dump)
    assert texts == ["= A =\nthe last one"]
    assert [(b.reason, b.size) for b in bad] == [("left out: older revision", 11)]
    _, bad = texts_in(tmp_path, "b.xml", b"7z\xbc\xaf", mediawiki_dump)
    assert "b.xml before its first page: " in bad[0].example
