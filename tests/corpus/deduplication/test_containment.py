"""A part of a longer document is found to be one."""

import json

import numpy as np
import pytest

from altiplano.corpus.curation import curate
from altiplano.corpus.deduplication.containment import LEAST, Sketches, sketch_of, write_sketches
from altiplano.corpus.documents import DocumentShard
from altiplano.recipe.schema import CorpusConfig, DeduplicationConfig, HeldoutConfig, SourceConfig
from corpus.support import documents

generator = np.random.default_rng(5)
WORDS = ["".join(generator.choice(list("abcdefghijklmnop"), 6)) for _ in range(4000)]


def prose(seed, words):
    chosen = np.random.default_rng(seed).choice(WORDS, words)
    return "\n".join(" ".join(chosen[at : at + 12]) + "." for at in range(0, words, 12))


def test_the_estimate_is_that_of_whole_sets(tmp_path):
    whole = prose(1, 4000)
    parts = [whole[: len(whole) * share // 100] + prose(2, 40 * (100 - share)) for share in (0, 25, 50, 75, 100)]
    shard = DocumentShard(0, tmp_path, 10, 6, 0)
    write_sketches(tmp_path / "sketches.npy", [whole, *parts], np.arange(6), 6, 5)
    sketches = Sketches([tmp_path / "sketches.npy"], [shard])
    pairs = np.array([(10, number) for number in range(11, 16)])
    assert sketches.contained(pairs) == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.08)
    assert sketches.contained(pairs[:, ::-1])[4] == 1
    assert sketches.sizes(np.array([10])) == pytest.approx([250], rel=0.25)


def test_of_few_words_nothing_is_said(tmp_path):
    texts = ["three words only", "three words only and more of them"]
    write_sketches(tmp_path / "sketches.npy", texts, np.arange(2), 2, 5)
    assert len(sketch_of(texts[0], 5)) < LEAST
    shard = DocumentShard(0, tmp_path, 0, 2, 0)
    assert Sketches([tmp_path / "sketches.npy"], [shard]).contained(np.array([(1, 0)])) == [0]


@pytest.mark.parametrize(("share", "kept"), [(0.0, 4), (0.9, 3), (0.6, 2)])
def test_parts_go_where_the_recipe_says_so(tmp_path, share, kept):
    """A whole text, its first third, a text of which seven tenths are in it, and another."""
    whole = prose(3, 3000)
    texts = [whole, whole[: len(whole) // 3], whole[-len(whole) * 35 // 100 :] + prose(4, 450), prose(5, 800)]
    lines = [json.dumps({"text": text, "url": str(number)}) for number, text in enumerate(texts)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    sources = (SourceConfig(name="a", domain="code", format="jsonl", path="a.jsonl"),)  # no rules of prose
    settings = DeduplicationConfig(min_containment=share)
    heldout = HeldoutConfig(min_documents=9)  # nothing is: what overlaps it would go
    corpus = CorpusConfig(root=tmp_path, sources=sources, deduplication=settings, heldout=heldout)
    curate(corpus, 0, tmp_path / "out", workers=1)
    rows = {row["url"]: row for row in documents(tmp_path / "out")}
    stays = [url for url, row in rows.items() if row["keep"]]
    assert len(stays) == kept, [row["reason"] for row in rows.values()]
    assert {"0", "3"} <= set(stays)
    assert {row["copy_of"] for row in rows.values() if not row["keep"]} <= {rows["0"]["id"]}
