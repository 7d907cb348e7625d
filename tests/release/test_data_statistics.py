"""What a release counts of the documents: only what was kept, and web sites of training text alone."""

from pathlib import Path

import pytest

from altiplano.records import ShardEntry
from altiplano.release.documents.data_statistics import count_documents, read_table, shards_table

arrow = pytest.importorskip("pyarrow")


def write(folder: Path, number: int, rows: list[dict[str, object]]) -> None:
    from pyarrow import parquet

    base = {
        "source": "pages",
        "domain": "web",
        "language": "en",
        "split": "train",
        "keep": True,
        "url": None,
        "text": "x",
    }
    (folder / "documents").mkdir(exist_ok=True)
    table = arrow.Table.from_pylist([base | row for row in rows])
    parquet.write_table(table, folder / "documents" / f"part-{number:05d}.parquet")


def test_documents_and_web_sites(tmp_path: Path) -> None:
    write(
        tmp_path,
        0,
        [
            {"bytes": 10, "url": "https://www.a.example/1"},
            {"bytes": 20, "url": "https://a.example/2"},
            {"bytes": 5, "url": "https://b.example/", "split": "heldout"},
            {"bytes": 1000, "url": "https://c.example/", "keep": False, "split": ""},
        ],
    )
    write(tmp_path, 1, [{"bytes": 7, "source": "books"}, {"bytes": 3, "source": "books", "url": "https://d.example/"}])
    documents, sizes, sites, site_sizes = count_documents(tmp_path, {"pages"})
    assert documents == {
        ("pages", "web", "en", "train"): 2,
        ("pages", "web", "en", "heldout"): 1,
        ("books", "web", "en", "train"): 2,
    }
    assert sizes["pages", "web", "en", "train"] == 30 and sizes["books", "web", "en", "train"] == 10
    assert sites == {("a.example",): 2} and site_sizes == {("a.example",): 30}


def test_no_documents_no_counts(tmp_path: Path) -> None:
    assert count_documents(tmp_path, {"pages"}) == ({}, {}, {}, {})


def test_odd_names_survive_the_table(tmp_path: Path) -> None:
    shard = ShardEntry(
        path='train/a,"b', split="train", domain="web", language="en\nx", documents=1, bytes=2, tokens=3, sha256="ab"
    )
    (tmp_path / "shards.csv").write_text(shards_table([shard]))
    (row,) = read_table(tmp_path / "shards.csv")
    assert (row["path"], row["language"], row["tokens"]) == ('train/a,"b', "en\nx", "3")
