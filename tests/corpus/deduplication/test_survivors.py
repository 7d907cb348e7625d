"""Of copies the best stays, by an order that the recipe states; and a copy is like the document that stays."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altiplano.corpus.annotate import url_hash
from altiplano.corpus.curation import curate
from altiplano.corpus.deduplication import survivors
from altiplano.corpus.deduplication.survivors import COPY, worse_copies
from altiplano.recipe.schema import CorpusConfig, DeduplicationConfig, SourceConfig
from corpus.support import ESSAY, documents

PREFER = DeduplicationConfig().prefer


def copies(*rows):
    """Records from dicts; what is not said is the same for all but the document, its id and its text."""
    records = np.zeros(len(rows), COPY)
    records["document"], records["text"] = np.arange(len(rows)), np.arange(1, len(rows) + 1)
    records["id"] = [f"{number:02d}" for number in range(len(rows))]
    records["cluster"] = "c"
    for record, row in zip(records, rows, strict=True):
        for name, value in row.items():
            record[name] = value
    return records


def judged(records, prefer=PREFER, alike=lambda left, right: True):
    """Document → (reason, the copy that stays)."""

    def pairs(array):
        return np.array([alike(left, right) for left, right in array.tolist()], bool)

    dropped = worse_copies(records, prefer, pairs)
    assert len(np.unique(dropped["document"])) == len(dropped)
    return {int(row["document"]): (survivors.COPIES[row["reason"]], row["copy_of"].decode()) for row in dropped}


def test_the_order_is_the_recipes():
    rows = copies(
        {"quality": 1, "length": -900, "source": 0},
        {"quality": 0, "length": -500, "source": 1},
        {"quality": 0, "length": -700, "source": 2},
    )
    assert judged(rows) == dict.fromkeys((0, 1), ("near duplicate", "02"))
    assert judged(rows, ("length", "quality", "source")) == dict.fromkeys((1, 2), ("near duplicate", "00"))
    assert judged(rows, ("source",)) == dict.fromkeys((1, 2), ("near duplicate", "00"))
    assert judged(rows, ()) == dict.fromkeys((1, 2), ("near duplicate", "00"))  # the lowest id


def test_a_chain_is_split():
    """Each document is like the next one only: every second one stays, not the first alone."""
    rows = copies(*({"length": -number} for number in (500, 400, 300, 200, 100)))
    found = judged(rows, alike=lambda left, right: abs(left - right) == 1)
    assert found == {1: ("near duplicate", "00"), 3: ("near duplicate", "02")}


def test_reasons():
    rows = copies({}, {"text": 1}, {"url": 7}, {"url": 7}, {"cluster": "d"}, {"cluster": "e", "earlier": True})
    found = judged(rows, alike=lambda left, right: False)
    assert found == {
        1: ("exact duplicate", "00"),
        3: ("same address", "02"),
        5: ("in an earlier run", "e"),
    }


def test_a_chain_without_end_costs_a_bounded_number_of_rounds(monkeypatch):
    monkeypatch.setattr(survivors, "ROUNDS", 3)
    found = judged(copies(*({} for _ in range(10))), alike=lambda left, right: False)
    assert found == dict.fromkeys(range(3, 10), ("near duplicate", "02"))


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_whoever_stays_is_like_nobody_else_who_stays(seed, number):
    """In any graph of likeness: no two that stay are alike, every one that goes is like a better one that stays."""
    generator = np.random.default_rng(seed)
    matrix = generator.random((number, number)) < 0.2
    matrix |= matrix.T
    rows = copies(
        *({"cluster": f"{generator.integers(3)}", "length": -int(generator.integers(9))} for _ in range(number))
    )
    found = judged(rows, alike=lambda left, right: bool(matrix[left, right]))
    place = {document: at for at, document in enumerate(np.lexsort((rows["id"], rows["length"])).tolist())}
    stay = [document for document in range(number) if document not in found]
    for one in stay:
        assert not any(
            matrix[one, other] for other in stay if other != one and rows["cluster"][other] == rows["cluster"][one]
        )
    for document, (_, best) in found.items():
        assert matrix[document, int(best)] and int(best) in stay and place[int(best)] < place[document]


@pytest.mark.parametrize(("prefer", "kept"), [(("length",), "long.jsonl"), (("source", "length"), "short.jsonl")])
def test_of_near_copies_the_preferred_one_is_published(tmp_path, prefer, kept):
    essay = ESSAY.split("\n# ")[1]
    texts = {"short.jsonl": [essay, essay], "long.jsonl": [f"{essay}\nAnd this is the end of it."]}
    for name, rows in texts.items():
        (tmp_path / name).write_text("".join(json.dumps({"text": text, "url": name}) + "\n" for text in rows))
    sources = tuple(
        SourceConfig(name=name.partition(".")[0], domain="reference", format="jsonl", path=name) for name in texts
    )
    corpus = CorpusConfig(root=tmp_path, sources=sources, deduplication=DeduplicationConfig(prefer=prefer))
    curate(corpus, 0, tmp_path / "out", workers=1)
    rows = documents(tmp_path / "out")
    (stays,) = [row for row in rows if row["keep"]]
    assert stays["url"] == kept
    assert {row["copy_of"] for row in rows if not row["keep"]} == {stays["id"]}
    exact = [row["reason"] for row in rows].count("exact duplicate")
    assert exact == (1 if kept == "short.jsonl" else 0)


def test_only_addresses_are_addresses():
    """Numbers of rows and paths in projects are the same in many files."""
    same = ["http://a.example/x?utm_source=b", "https://www.A.example/x/#top", "//a.example/x"]
    assert len({url_hash(url) for url in same}) == 1 and url_hash(same[0])
    assert not any(map(url_hash, ("", "1", "README.md", "src//main.c", "docs/a.md")))
