"""Every format is read, and what is broken in it is counted with a reason and an example."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.formats import arxiv, code, installed_python, jsonl, parquet, text
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES
from altiplano.corpus.readers.web_archives import warc
from corpus.support import split, tar, web_record


def test_warc_yields_html_answered_with_200(tmp_path):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(
        web_record("https://a.example/", b"<p>one</p>")
        + web_record("https://a.example/pdf", b"%PDF", kind="application/pdf")
        + web_record("https://a.example/gone", b"<p>gone</p>", status="404 Not Found")
        + web_record("https://a.example/latin", "<p>été</p>".encode("latin-1"), kind="text/html; charset=iso-8859-1")
    )
    raw, bad = split(warc.read(path, "a.warc.gz"))
    assert [(r.url, r.text) for r in raw] == [
        ("https://a.example/", "<p>one</p>"),
        ("https://a.example/latin", "<p>été</p>"),
    ]
    assert {b.reason: b.lost for b in bad} == {
        "left out: content type application/*": False,
        "left out: answered with status 4xx": False,
    }


def test_truncated_warc_keeps_the_records_before_the_cut(tmp_path):
    records = [web_record(f"https://a.example/{i}", b"<p>" + bytes(str(i), "ascii") * 5000 + b"</p>") for i in range(6)]
    whole = b"".join(records)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(whole[: len(whole) - len(records[-1]) // 2])
    raw, bad = split(warc.read(path, "a.warc.gz"))
    assert [r.url[-1] for r in raw] == list("01234")
    assert len(bad) == 1 and bad[0].lost and "a.warc.gz" in bad[0].example


def test_damaged_gzip_and_a_file_that_is_no_warc_are_counted(tmp_path):
    records = [web_record(f"https://a.example/{i}", bytes(str(i) * 4000, "ascii")) for i in range(4)]
    broken = bytearray(b"".join(records))
    broken[len(records[0]) + len(records[1]) + 30 :] = bytes(60)
    (tmp_path / "a.warc.gz").write_bytes(broken)
    raw, bad = split(warc.read(tmp_path / "a.warc.gz", "a"))
    assert len(raw) == 2 and len(bad) == 1
    (tmp_path / "b.warc.gz").write_bytes(b"this is not an archive at all")
    raw, bad = split(warc.read(tmp_path / "b.warc.gz", "b"))
    assert not raw and len(bad) == 1


def test_jsonl_counts_malformed_lines(tmp_path):
    lines = [
        b'{"text": "good", "id": "x"}',
        b'{"text": "cut off',
        b"[1, 2]",
        b'{"title": "no text"}',
        b'{"content": "other key", "url": "https://a.example"}',
        '{"text": "café"}'.encode("latin-1"),
        b'{"text": "a lone \\ud800 surrogate"}',
        b"",
    ]
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    raw, bad = split(jsonl.read(path, "a"))
    assert [r.text for r in raw] == ["good", "other key", "café", "a lone ? surrogate"]
    assert [r.url for r in raw] == ["x", "https://a.example", "", ""]
    assert [b.reason for b in bad if b.lost] == ["malformed JSON line", "JSON line that is no object", jsonl.NO_TEXT]
    assert [b.lost for b in bad if "UTF-8" in b.reason or "charset" in b.reason] == [False]


def test_cut_gzip_of_json_lines_keeps_what_came_before(tmp_path):
    import random

    lines = "\n".join(json.dumps({"text": str(random.Random(i).random())}) for i in range(20000)).encode()
    data = gzip.compress(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(data[: len(data) // 2])
    raw, bad = split(jsonl.read(tmp_path / "a.jsonl.gz", "a"))
    assert 1000 < len(raw) < 20000
    assert sum(b.lost for b in bad) >= 1


def test_parquet_reads_text_and_url(tmp_path):
    pq.write_table(pa.table({"text": ["one", None, "two"], "url": ["u1", "u2", None]}), tmp_path / "a.parquet")
    raw, bad = split(parquet.read(tmp_path / "a.parquet", "a"))
    assert [(r.text, r.url) for r in raw] == [("one", "u1"), ("two", "")]
    assert len(bad) == 1
    (tmp_path / "b.parquet").write_bytes(b"nonsense")
    assert split(parquet.read(tmp_path / "b.parquet", "b"))[1][0].lost


def test_archive_members_with_unsafe_names_or_sizes_are_refused(tmp_path):
    path = tar(tmp_path / "a.tar.gz", {"ok.tex": b"fine", "../evil.tex": b"x", "/etc/evil.tex": b"x", "fig.png": b"x"})
    raw, bad = split(arxiv.read(path, "a.tar.gz"))
    assert [r.place for r in raw] == ["a.tar.gz/ok.tex"]
    assert [b.reason for b in bad if b.lost] == ["archive member with an unsafe path"] * 2
    bomb = tar(tmp_path / "b.tar.gz", {"big.c": bytes(MAX_RECORD_BYTES + 1), "small.c": b"int x;"})
    raw, bad = split(code.read(bomb, "b"))
    assert [r.text for r in raw] == ["int x;"] and "64 MiB" in bad[0].reason
    cut = path.read_bytes()[:-40]
    (tmp_path / "c.tar.gz").write_bytes(cut)
    assert any(b.lost for b in split(arxiv.read(tmp_path / "c.tar.gz", "c"))[1])


def test_code_knows_languages_and_skips_the_rest(tmp_path):
    path = tar(
        tmp_path / "p.tar.gz", {"a.py": b"x = 1", "b.C.png": b"\0", "Makefile": b"all:", "c.rs": b"fn", "d.c": b"\0x"}
    )
    raw, bad = split(code.read(path, "p"))
    assert [r.code_language for r in raw] == ["python", "make", "rust"]
    assert [b.reason for b in bad] == ["binary file", "left out: not a kind of file that this format reads"]


@pytest.mark.parametrize(
    ("data", "expected", "repaired"),
    [
        ("naïve".encode(), "naïve", False),
        (b"\xef\xbb\xbfbom", "bom", False),
        ("überall".encode("utf-16"), "überall", False),
        (("Der Fluß fließt über grüne Hügel und schöne Täler. " * 5).encode("cp1252"), "Der Fluß fließt", True),
        (("Съешь ещё этих мягких французских булок, да выпей чаю. " * 8).encode("cp1251"), "Съешь ещё", True),
        (b"mostly fine " * 50 + b"\xff", "mostly fine", True),
    ],
)
def test_decoding(data, expected, repaired):
    found, repair = decode(data)
    assert found.startswith(expected)
    assert bool(repair) == repaired


def test_unreadable_text_file_is_counted(tmp_path):
    raw, bad = split(text.read(tmp_path / "gone.md", "gone.md"))
    assert not raw and bad[0].reason == "unreadable file"


def test_python_installation_is_read_without_importing():
    import sys

    before = set(sys.modules)
    name = next(name for name, _ in installed_python.files("code") if name == "antigravity.py")
    assert "webbrowser" in split(installed_python.read("code", name))[0][0].text
    assert set(sys.modules) - before <= set()
    page = split(installed_python.read("reference", "textwrap.py"))[0][0].text
    assert page.startswith("# textwrap") and "## dedent(text)" in page
    topics = split(installed_python.read("reference", "pydoc_data/topics.py"))[0]
    assert len(topics) > 50
    names = [name for name, _ in installed_python.files("code")]
    assert not any("site-packages" in n or n.startswith(("test/", "idlelib/")) for n in names)
    web = installed_python.files("web")
    assert any(name == "numpy" for name, _ in web)
    assert split(installed_python.read("web", "numpy"))[0][0].url == "https://pypi.org/project/numpy/"
