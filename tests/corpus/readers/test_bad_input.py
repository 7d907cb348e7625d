"""Damaged and hostile input: each kind is counted with its reason, ends no run and writes nothing."""

import bz2
import gzip
import io
import lzma
import os
import resource
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from growth import grows_faster_than_its_input

from altiplano.corpus.curation import curate
from altiplano.corpus.extraction.html.main_text import MODES
from altiplano.corpus.extraction.latex.text_of_latex import text_of_latex
from altiplano.corpus.extraction.markup import text_of_asciidoc, text_of_markdown, text_of_rst
from altiplano.corpus.extraction.mediawiki.wikitext import text_of_wikitext
from altiplano.corpus.readers import opening
from altiplano.corpus.readers import raw as raw_module
from altiplano.corpus.readers.formats import arxiv, code, jats_articles, jsonl, mediawiki_dump, parquet, text
from altiplano.corpus.readers.listing import plan
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES, RawDocument
from altiplano.corpus.readers.web_archives import warc
from altiplano.errors import InputError
from altiplano.recipe.schema import CorpusConfig, SourceConfig
from corpus.support import contents, make_corpus, split, tar, web_record

READERS = {
    "a.jsonl": jsonl.read, "a.warc": warc.read, "a.txt": text.read, "a.tex": arxiv.read, "a.py": code.read,
    "a.xml": mediawiki_dump.read, "a.nxml": jats_articles.read, "a.parquet": parquet.read,
}  # fmt: skip
COMPRESS = ("gz", "bz2", "xz", "zst", "lz4")


def compressed(kind: str, blocks: Iterable[bytes]) -> bytes:
    if kind in ("zst", "lz4"):
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, {"zst": "zstd"}.get(kind, kind)) as stream:
            for block in blocks:
                stream.write(block)
        return sink.getvalue().to_pybytes()
    makers = {
        "gz": lambda: zlib.compressobj(9, wbits=31),
        "bz2": lambda: bz2.BZ2Compressor(9),
        "xz": lambda: lzma.LZMACompressor(preset=0),
    }
    stream = makers[kind]()
    return b"".join([*(stream.compress(block) for block in blocks), stream.flush()])


def peak_of(program: str, *arguments: object) -> tuple[str, int]:
    """What a Python program prints, and its peak memory in bytes above that of the imports alone."""
    # not getrusage: its maximum starts at what the process that forked had, however large pytest has grown
    footer = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    result = subprocess.run(
        [sys.executable, "-c", program + footer, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    *lines, peak = result.stdout.strip().split("\n")
    return "\n".join(lines), int(peak) * 1024


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("trouble", ["missing", "folder", "noise"])
def test_what_is_no_file_or_not_of_the_format(tmp_path, name, trouble):
    path = tmp_path / name
    if trouble == "folder":
        path.mkdir()
    elif trouble == "noise":
        path.write_bytes(b"\x93\xf0\0\x01" * 500)
    raw, bad = split(READERS[name](path, name))
    assert not raw or (trouble == "noise" and name == "a.tex"), raw
    assert raw or any(b.lost and name in b.example for b in bad)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_file_without_permission(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")
    path.chmod(0)
    assert split(text.read(path, "a.txt"))[1][0].reason == "unreadable file"


@pytest.mark.parametrize("kind", COMPRESS)
def test_truncated_compressed_files(tmp_path, kind):
    lines = b"".join(b'{"text": "%s"}\n' % os.urandom(200).hex().encode() for _ in range(5000))
    data = compressed(kind, [lines])
    path = tmp_path / f"a.jsonl.{kind}"
    path.write_bytes(data)
    assert len(split(jsonl.read(path, "a"))[0]) == 5000
    path.write_bytes(data[: len(data) * 2 // 3])
    raw, bad = split(jsonl.read(path, "a"))
    assert len(raw) < 5000 and (kind == "bz2" or len(raw) > 100)  # bzip2's blocks hold 900 kB of text
    assert any("the rest is lost" in b.reason for b in bad if b.lost)


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_bomb_is_refused_in_bounded_memory(tmp_path, kind):
    path = tmp_path / f"a.jsonl.{kind}"
    path.write_bytes(compressed(kind, (bytes(2**20) for _ in range(300 if kind == "bz2" else 600))))
    program = (
        "import sys; from pathlib import Path; from altiplano.corpus.readers.formats import jsonl\n"
        "print([getattr(b, 'reason', '') for b in jsonl.read(Path(sys.argv[1]), 'a')])"
    )
    said, peak = peak_of(program, path)
    assert ("record above 64 MiB" if kind == "lz4" else "unreadable file, the rest is lost") in said
    assert peak < 400 * 2**20


def test_a_zip_whose_members_unfold(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.py", bytes(MAX_RECORD_BYTES + 1))
        archive.writestr("../evil.py", "x = 1")
        archive.writestr("fine.py", "x = 1")
    raw, bad = split(code.read(path, "a.zip"))
    assert [r.place for r in raw] == ["a.zip/fine.py"]
    assert sorted(b.reason for b in bad) == ["archive member with an unsafe path", "record above 64 MiB"]
    path.write_bytes(path.read_bytes()[:-60])
    assert split(code.read(path, "a.zip"))[1][0].lost


def test_a_line_without_end_is_skipped_in_bounded_memory(tmp_path):
    """1 GB in one line between two good ones: a sparse file, so that it costs no disk."""
    path = tmp_path / "a.jsonl"
    with path.open("wb") as stream:
        stream.write(b'{"text": "first"}\n')
        stream.seek(10**9, io.SEEK_CUR)
        stream.write(b'\n{"text": "last"}\n')
    program = (
        "import sys; from pathlib import Path; from altiplano.corpus.readers.formats import jsonl\n"
        "for r in jsonl.read(Path(sys.argv[1]), 'a'): print(getattr(r, 'text', '') or getattr(r, 'reason', ''))"
    )
    said, peak = peak_of(program, path)
    assert said.strip().split("\n") == ["first", "record above 64 MiB", "last"]
    assert peak < 400 * 2**20


def test_nul_bytes(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a\\u0000b"}\n{"text": "\0"}\n')
    raw, bad = split(jsonl.read(tmp_path / "a.jsonl", "a"))
    assert [r.text for r in raw] == ["a\0b"] and len(bad) == 1
    (tmp_path / "a.txt").write_bytes(b"text\0text")
    assert split(text.read(tmp_path / "a.txt", "a"))[1][0].reason == "binary file"
    (tmp_path / "a.warc").write_bytes(gzip.decompress(web_record("https://a.example/", b"<p>one\0two</p>")))
    (page,) = split(warc.read(tmp_path / "a.warc", "a"))[0]
    for extract in MODES.values():
        assert "\0" not in extract(page.text)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tag", ["div", "b", "table", "ul"])
def test_html_nested_10_000_deep_ends_neither_the_process_nor_the_day(mode, tag):
    words = "".join(f"<p>{'Plain words of a paragraph. ' * 20}</p>" for _ in range(5))
    page = f"<html><body><article>{words}{f'<{tag}>' * 10_000}deep{f'</{tag}>' * 10_000}</article></body></html>"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert "Plain words" in MODES[mode](page)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10


def test_tar_members_that_are_not_plain_files(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("link.py", tarfile.SYMTYPE), ("hard.py", tarfile.LNKTYPE), ("dev.py", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name in ("../up.py", "/root.py", "ok.py"):
            member = tarfile.TarInfo(name)
            member.size = 5
            archive.addfile(member, io.BytesIO(b"x = 1"))
    raw, bad = split(code.read(path, "a.tar"))
    assert [r.place for r in raw] == ["a.tar/ok.py"]
    assert [b.reason for b in bad if b.lost] == ["archive member with an unsafe path"] * 2
    assert [b.records for b in bad if b.reason == "left out: link or device in an archive"] == [3]


def test_pipes_devices_and_dangling_links_are_not_listed(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "null.txt").symlink_to("/dev/null")
    (tmp_path / "real.txt").write_text("text")
    corpus = CorpusConfig(root=tmp_path, sources=(SourceConfig(name="s", domain="web", format="text", path="*.txt"),))
    assert [task.files for task in plan(corpus)] == [("real.txt",)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.tar", "a.xml", "a.warc"])
def test_a_disk_that_fails_in_the_middle(tmp_path, name):
    """Every read after the first 64 kB raises an OSError."""

    class Failing(io.RawIOBase):
        def __init__(self, data: bytes):
            self.data, self.at = data, 0

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0) -> int:
            self.at = offset + (0, self.at, len(self.data))[whence]
            return self.at

        def readinto(self, buffer) -> int:
            if self.at >= 65536:
                raise OSError(5, "Input/output error")
            data = self.data[self.at : self.at + min(len(buffer), 4096)]
            self.at += len(data)
            buffer[: len(data)] = data
            return len(data)

    class File(opening.RemoteFile):
        def open(self, mode: str = "rb") -> io.BufferedReader:
            return io.BufferedReader(Failing(CONTENTS[name]), 4096)

    page = b"<page><title>T</title><ns>0</ns><revision><text>" + b"words " * 20 + b"</text></revision></page>"
    record = gzip.decompress(web_record("https://a.example/", b"<p>" + b"words " * 200))
    members = tar(tmp_path / "t.tar.gz", {f"{i}.py": b"x = 1\n" * 100 for i in range(200)})
    CONTENTS = {
        "a.jsonl": b'{"text": "some words"}\n' * 10_000,
        "a.txt": b"words " * 50_000,
        "a.tar": gzip.decompress(members.read_bytes()),
        "a.xml": b"<mediawiki>" + page * 1000 + b"</mediawiki>",
        "a.warc": record * 200,
    }
    readers = {**READERS, "a.tar": code.read}
    raw, bad = split(readers[name](File(name), name))
    assert any(b.lost for b in bad) and len(raw) < 5000
    assert raw or name == "a.txt"


def test_a_file_that_goes_between_listing_and_reading(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.txt").write_text("text")
    corpus = CorpusConfig(root=tmp_path, sources=(SourceConfig(name="s", domain="web", format="text", path="*.txt"),))
    from altiplano.corpus.readers.read import read

    (task,) = plan(corpus)
    (tmp_path / "3.txt").unlink()
    raw, bad = split(read(task))
    assert len(raw) == 4 and [b.reason for b in bad] == ["unreadable file"]


def test_xml_bombs_and_foreign_entities_stay_folded(tmp_path):
    from altiplano.corpus.extraction.jats import text_of_jats

    secret = tmp_path / "secret"
    secret.write_text("the secret")
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12))
    source = (
        f'<?xml version="1.0"?><!DOCTYPE article [{entities}<!ENTITY x SYSTEM "file://{secret}">]>'
        "<article><body><p>before &a12; &x; after</p></body></article>"
    )
    found = text_of_jats(source)
    assert len(found) < 1000 and "secret" not in found
    dump = tmp_path / "a.xml"
    page = "<page><title>T &a12;</title><ns>0</ns><revision><text>body &x;</text></revision></page>"
    dump.write_text(source.partition("<article>")[0] + f"<mediawiki>{page}</mediawiki>")
    raw, _ = split(mediawiki_dump.read(dump, "a.xml"))
    assert all(len(r.text) < 1000 and "secret" not in r.text for r in raw)


def test_latex_files_that_bring_each_other_in_and_macros_that_explode(tmp_path):
    path = tar(tmp_path / "a.tar.gz", {"a.tex": b"A \\input{b}", "b.tex": b"B \\input{a}", "c.tex": b"C \\input{c}"})
    raw, _ = split(arxiv.read(path, "a"))
    assert {r.place for r in raw} == {"a/c.tex"} or len(raw) <= 3
    doubling = {f"f{i}.tex": f"\\input{{f{i + 1}}}\\input{{f{i + 1}}}".encode() for i in range(60)}
    raw, _ = split(arxiv.read(tar(tmp_path / "b.tar.gz", doubling), "b"))
    assert sum(len(r.text) for r in raw) < 2 * MAX_RECORD_BYTES
    names = [f"\\m{chr(97 + i)}" for i in range(21)]
    bomb = "".join(f"\\newcommand{{{one}}}{{{other * 20}}}" for one, other in pairwise(names)) + names[0]
    assert len(text_of_latex(bomb)) < 20_000


def test_parquet_with_too_long_a_text(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_RECORD_BYTES", 1000)
    pq.write_table(pa.table({"text": ["x" * 2000, "fine"]}), tmp_path / "a.parquet")
    raw, bad = split(parquet.read(tmp_path / "a.parquet", "a"))
    assert [r.text for r in raw] == ["fine"] and bad[0].reason == "record above 64 MiB"
    assert raw_module.MAX_RECORD_BYTES == MAX_RECORD_BYTES


def test_a_run_counts_them_all_and_writes_only_where_it_may(tmp_path):
    corpus = make_corpus(tmp_path / "raw")
    before = contents(tmp_path)
    curate(corpus, 0, tmp_path / "run" / "curate", workers=1)
    after = contents(tmp_path)
    assert {path: sha for path, sha in after.items() if not path.startswith("run/curate/")} == before
    import json

    audit = json.loads((tmp_path / "run" / "curate" / "audit.json").read_text())
    reasons = {bad["reason"]: bad["count"] for bad in audit["bad_records"]}
    assert reasons["binary file"] == reasons["unreadable file"] == reasons["archive member with an unsafe path"] == 1
    assert any("not UTF-8" in reason for reason in reasons)


def test_above_the_budget_it_is_one_clear_line(tmp_path):
    corpus = make_corpus(tmp_path / "raw", max_bad_records=0.1)
    for i in range(30):
        (tmp_path / "raw" / f"bad{i}.txt").write_bytes(b"\0" * 50)
    with pytest.raises(InputError, match=r"corpus.max_bad_records: 33 of .* binary file") as error:
        curate(corpus, 0, tmp_path / "run", workers=1)
    assert "\n" not in str(error.value)


def test_a_web_archive_cut_inside_a_bomb(tmp_path):
    body = bytes(200 * 2**20)
    record = web_record("https://a.example/", b"<p>fine</p>") + web_record("https://a.example/bomb", body)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(record[:-20])
    found = list(warc.read(path, "a"))
    assert [r.text for r in found if isinstance(r, RawDocument)] == ["<p>fine</p>"]
    assert any("64 MiB" in b.reason or "cut off" in b.reason for b in found if not isinstance(b, RawDocument))


@pytest.mark.parametrize(
    ("extract", "unit"),
    [
        (text_of_markdown, "<!--"), (text_of_markdown, "{/*"), (text_of_markdown, "```x\n~~~y\n"),
        (text_of_asciidoc, "https://"), (text_of_asciidoc, "image:"), (text_of_asciidoc, "[["), (text_of_rst, ":a:`"),
        (text_of_wikitext, "<ref>"), (text_of_wikitext, "<math>"), (text_of_wikitext, "{{"), (text_of_wikitext, "\n{|"),
        (text_of_latex, "\\newcommand{\\a}{"), (text_of_latex, "$a\\begin{align}"),
    ],
)  # fmt: skip
def test_what_opens_and_never_closes_takes_time_by_its_length_only(extract, unit):
    assert not grows_faster_than_its_input(extract, lambda length: unit * (length // len(unit)), 20_000)
