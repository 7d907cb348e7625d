"""Hostile and damaged archives, links and folders: bounded in time and space, and counted."""

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib

import pytest

from altiplano.corpus.readers.archives import archive
from altiplano.corpus.readers.formats import jsonl, parquet, text
from altiplano.corpus.readers.listing import plan
from altiplano.corpus.readers.read import read
from corpus.readers.made_files import COMPRESS, json_lines, table, tar_of, zip_of
from corpus.support import corpus, everything, split


@pytest.mark.parametrize("suffix", [suffix for suffix in COMPRESS if suffix])
def test_every_whole_line_before_a_cut_is_read(tmp_path, suffix):
    data = COMPRESS[suffix](json_lines(3000))
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(data[: len(data) * 2 // 3])
    raw, bad = split(jsonl.read(path, "a"))
    if suffix == ".gz":
        whole = zlib.decompressobj(wbits=31).decompress(path.read_bytes())
        assert len(raw) == whole.count(b"\n")
    assert len(raw) > 0 or suffix == ".bz2"  # whose blocks hold 900 kB
    assert [b.reason for b in bad if b.lost] == [jsonl.REST_LOST]


def test_a_small_file_cut_at_its_end_gives_its_lines(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json_lines(300))[:-8])
    raw, bad = split(jsonl.read(tmp_path / "a.jsonl.gz", "a"))
    assert len(raw) == 300 and sum(b.records for b in bad if b.lost) == 1


def test_what_a_fault_lost_is_estimated_from_what_came_before(tmp_path):
    data = bytearray(gzip.compress(json_lines(4000), mtime=0))
    data[len(data) // 4 : len(data) // 4 + 50] = os.urandom(50)
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    raw, bad = split(jsonl.read(tmp_path / "a.jsonl.gz", "a"))
    lost = sum(b.records for b in bad if b.lost)
    assert 3000 < len(raw) + lost < 5500 and lost > 2000


def test_usual_and_named_keys(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"raw_content": "one"}\n{"markdown": "two"}\n{"body": "three", "mine": "four"}\n{"mine": "five"}\n'
    )
    raw, bad = split(jsonl.read(tmp_path / "a.jsonl", "a"))
    assert [r.text for r in raw] == ["one", "two", "three"] and "text_key" in bad[0].reason
    named = everything(corpus(tmp_path, format="jsonl", path="a.jsonl", text_key="mine"))
    assert [r.text for r in named[0]] == ["four", "five"] and len(named[1]) == 2
    with pytest.raises(ValueError, match="text_key is of format"):
        corpus(tmp_path, path="*", text_key="mine")


def test_row_groups_around_a_damaged_one_are_read(tmp_path):
    data = bytearray(table(60))
    at = data.find(b"30 ")
    data[at - 100 : at + 100] = bytes(200)
    (tmp_path / "a.parquet").write_bytes(data)
    raw, bad = split(parquet.read(tmp_path / "a.parquet", "a"))
    lost = sum(b.records for b in bad if b.lost)
    assert 40 <= len(raw) < 60 and len(raw) + lost == 60
    assert raw[0].text.startswith("0 ") and raw[-1].text.startswith("59 ")


def test_a_tar_member_that_claims_a_petabyte(tmp_path):
    member = tarfile.TarInfo("big.txt")
    member.size = 10**15
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + b"x" * 5000))
    raw, bad = split(text.read(path, "a.tar.gz"))  # the test's limit of time ends one that believes it
    assert not raw and any(b.lost and b.size == 5000 for b in bad)


def test_after_a_damaged_header_a_tar_goes_on(tmp_path):
    data = bytearray(tar_of(".txt"))
    data[data.find(b"folder/5.txt") + 3] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    raw, bad = split(text.read(tmp_path / "a.tar", "a"))
    assert len(raw) == 11 and sum(b.records for b in bad if b.lost) >= 1


def test_a_damaged_zip_member_costs_itself_alone(tmp_path):
    data = bytearray(zip_of(".txt"))
    at = data.find(b"folder/3.txt")
    data[at + 30 : at + 60] = bytes(30)
    (tmp_path / "a.zip").write_bytes(data)
    raw, bad = split(text.read(tmp_path / "a.zip", "a.zip"))
    assert len(raw) == 11 and [b.reason for b in bad] == ["damaged archive member"]


def test_members_of_a_zip_that_lie_over_one_another_are_bounded(tmp_path, monkeypatch):
    """A thousand entries of the directory point at one member."""
    monkeypatch.setattr(archive, "FREE_BYTES", 10 * 2**20)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("0000.txt", b"x" * 2**20)
    data = sink.getvalue()
    at = data.find(b"PK\x01\x02")
    entry = data[at : data.find(b"PK\x05\x06")]
    entries = b"".join(entry for _ in range(1000))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1000, 1000, len(entries), at, 0)
    (tmp_path / "a.zip").write_bytes(data[:at] + entries + end)
    raw, bad = split(text.read(tmp_path / "a.zip", "a.zip"))
    assert sum(r.size for r in raw) < 60 * 2**20
    assert len(raw) + sum(b.records for b in bad) == 1000


def test_links_out_of_the_root_are_not_followed(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.txt").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "own.txt").write_text("own")
    (root / "inside.txt").symlink_to(root / "own.txt")
    (root / "file.txt").symlink_to(tmp_path / "secret" / "a.txt")
    (root / "folder").symlink_to(tmp_path / "secret")
    for path in ("*.txt", "*", "**/*.txt"):
        raw, bad = everything(corpus(root, path=path))
        assert {r.text for r in raw} == {"own"}, path
        assert any(b.reason == "left out: link out of corpus.root" for b in bad), path


def test_files_of_unknown_ending_and_dangling_links_are_counted(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.pdf").write_bytes(b"%PDF" * 10)
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    raw, bad = everything(corpus(tmp_path, path="*"))
    assert [r.text for r in raw] == ["text"]
    assert {b.reason: b.size for b in bad} == {f"left out: {archive.NOT_READ}": 40, "unreadable file": 0}


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_folder_without_permission_is_counted(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "b.txt").write_text("text")
    (tmp_path / "closed").chmod(0)
    try:
        for path in ("**/*.txt", "*"):
            assert any("cannot be listed" in b.reason for b in everything(corpus(tmp_path, path=path))[1]), path
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_limit_keeps_the_balance(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(json_lines(20))
    (task,) = plan(corpus(tmp_path, format="jsonl", path="a.jsonl", max_documents=5))
    *records, end = read(task)
    assert len(records) == 5 and end.unpacked == sum(record.size for record in records)
