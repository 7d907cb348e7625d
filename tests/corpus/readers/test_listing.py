"""Which files a source has, in which order, and how limits are dealt to them."""

import json

import pytest

from altiplano.corpus.readers.listing import input_fingerprint, inputs, plan
from altiplano.corpus.readers.read import read
from altiplano.errors import InputError
from altiplano.recipe.schema import CorpusConfig, SourceConfig
from corpus.support import everything, split


def make(tmp_path, **source) -> CorpusConfig:
    return CorpusConfig(
        root=tmp_path,
        sources=(SourceConfig(**{"name": "s", "domain": "web", "format": "text", "path": "*.txt", **source}),),
    )


def test_listing_order_and_limits(tmp_path):
    for i in range(200):
        (tmp_path / f"{i}.txt").write_text("x" * 100)
    tasks = plan(make(tmp_path))
    assert plan(make(tmp_path)) == tasks
    names = [name for task in tasks for name in task.files]
    assert sorted(names) == sorted(f"{i}.txt" for i in range(200))
    assert names != sorted(names)  # by hash, so that a prefix is a fair sample
    limited = everything(make(tmp_path, max_documents=30))[0]
    assert [r.place for r in limited] == names[:30]
    some = everything(make(tmp_path, max_bytes=1050))[0]
    assert len(some) == 11  # the document that crosses the limit is still read


def test_a_limit_is_dealt_over_large_files(tmp_path):
    for i in range(3):
        lines = "".join(json.dumps({"text": f"{i} {j} " + "y" * 1000}) + "\n" for j in range(3000))
        (tmp_path / f"{i}.jsonl").write_text(lines)
    tasks = plan(make(tmp_path, format="jsonl", path="*.jsonl", max_documents=100))
    assert len(tasks) == 3 and sum(t.max_documents or 0 for t in tasks) == 100
    found = split(record for task in tasks for record in read(task))[0]
    assert len(found) == 100 and len({r.place.split("#")[0] for r in found}) == 3


def test_fingerprint_follows_contents(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    corpus = make(tmp_path)
    first = input_fingerprint(corpus)
    assert input_fingerprint(corpus) == first
    (tmp_path / "a.txt").write_text("two")
    assert input_fingerprint(corpus) != first
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("")
    assert input_fingerprint(corpus) != first
    listed = inputs(corpus)["sources"]["s"]
    assert [entry["path"] for entry in listed] == ["a.txt", "b.txt"] and len(listed[0]["sha256"]) == 64


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "*.nothing"}, "matches no file"),
        ({"path": "../*.txt"}, "inside corpus.root"),
        ({"path": "/etc/*"}, "inside corpus.root"),
    ],
)
def test_what_matches_nothing_is_one_clear_line(tmp_path, source, message):
    with pytest.raises(InputError, match=message) as error:
        plan(make(tmp_path, **source))
    assert "\n" not in str(error.value) and "'s'" in str(error.value)


def test_missing_root_names_the_key(tmp_path):
    with pytest.raises(InputError, match=r"corpus\.root.*--set corpus\.root="):
        plan(make(tmp_path / "nowhere"))
