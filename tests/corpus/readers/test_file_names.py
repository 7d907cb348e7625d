"""File names and archive members' names in any bytes, and the budget of what may be lost."""

import gzip
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from altiplano.corpus.curation import curate
from altiplano.corpus.readers.formats import text
from altiplano.errors import InputError
from altiplano.execution.files import write_json
from altiplano.storage import read_json
from corpus.support import make_corpus, split, web_record

ODD_NAMES = (b"caf\xe9", b"caf\xe8", b"\xff\xfe", b"line\nbreak", b"\x1b[31m", "Ωmega".encode(), b"sp ace", b"'\"<&>")


def prose(number: int) -> bytes:
    return b"The page number %d says: " % number + b" ".join(b"word%d" % (number * 91 + i * i) for i in range(200))


def latin_tar(path: Path, names: tuple[bytes, ...]) -> None:
    with tarfile.open(path, "w:gz", encoding="utf-8", errors="surrogateescape") as archive:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(os.fsdecode(name) + ".txt")
            # the last one is not UTF-8 either, and so yields a note
            data = prose(number) + (" déjà vu, garçon" * 20).encode("latin-1") * (number == 1)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_names_in_any_bytes_end_neither_shard_nor_run(tmp_path):
    corpus = make_corpus(tmp_path / "raw")
    for number, name in enumerate(ODD_NAMES):
        Path(os.fsdecode(os.fsencode(tmp_path / "raw") + b"/" + name + b".txt")).write_bytes(prose(100 + number))
    latin_tar(tmp_path / "raw" / "latin.tar.gz", (*ODD_NAMES, *(b"good%d" % i for i in range(12))))
    counts = curate(corpus, 0, tmp_path / "run", workers=1)
    # twenty-one good pages, latin.txt and all that were added
    assert counts["raw_documents"] >= 22 + len(ODD_NAMES) * 2 + 12 - 1
    audit = (tmp_path / "run" / "audit.json").read_text(encoding="utf-8")
    assert not any("skipped" in bad["reason"] for bad in json.loads(audit)["bad_records"])
    listed = {os.fsencode(entry["path"]) for entry in read_json(tmp_path / "run" / "inputs.json")["sources"]["s"]}
    assert {name + b".txt" for name in ODD_NAMES} <= listed
    assert curate(corpus, 0, tmp_path / "run", workers=1) == counts  # finished: nothing is done again


def test_json_keeps_names_that_are_not_utf8(tmp_path):
    for name in ODD_NAMES:
        write_json(tmp_path / "a.json", {"path": os.fsdecode(name)})
        assert os.fsencode(read_json(tmp_path / "a.json")["path"]) == name


@pytest.mark.parametrize("flagged", [False, True])
def test_zip_members_with_names_in_any_bytes_are_read_or_counted(tmp_path, flagged):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cafX.txt" if not flagged else "cafXé.txt", "some words")
        archive.writestr("other.txt", "other words")
    path.write_bytes(path.read_bytes().replace(b"cafX", b"caf\xe9"))
    raw, bad = split(text.read(path, "a.zip"))
    assert len(raw) == 2 or any(b.lost for b in bad)


def damaged_archives(folder: Path) -> None:
    """Half of a web archive is gone: one fault, and many records."""
    records = [web_record(f"https://a.example/{i}", b"<p>" + prose(i) + b"</p>") for i in range(60)]
    data = bytearray(gzip.compress(b"".join(map(gzip.decompress, records))))
    data[len(data) // 3 : len(data) // 3 + 200] = bytes(200)
    (folder / "a.warc.gz").write_bytes(data)


def test_the_budget_counts_what_was_lost_and_not_faults(tmp_path):
    corpus = make_corpus(tmp_path / "raw")
    (tmp_path / "raw" / "web").mkdir()
    damaged_archives(tmp_path / "raw" / "web")
    source = corpus.sources[0].model_copy(update={"name": "web", "format": "warc", "path": "web/*.warc.gz"})
    texts = corpus.sources[0].model_copy(update={"path": "*.txt"})
    both = corpus.model_copy(update={"sources": (texts, source)})
    curate(both.model_copy(update={"max_bad_records": 0.9}), 0, tmp_path / "run", workers=1)
    bad = {b["reason"]: b for b in read_json(tmp_path / "run" / "audit.json")["bad_records"]}["damaged WARC"]
    size = (tmp_path / "raw" / "web" / "a.warc.gz").stat().st_size
    assert 15 < bad["count"] < 60 and 0.3 * size < bad["bytes"] < size
    with pytest.raises(InputError, match="max_bad_records"):
        curate(both, 0, tmp_path / "again", workers=1)
