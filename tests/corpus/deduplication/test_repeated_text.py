"""Frequent lines and repeated stretches are cut out, and nothing else."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altiplano.corpus.curation import curate
from altiplano.corpus.deduplication import repeated_lines, repeated_substrings
from altiplano.recipe.quality import ProseLimits, QualityConfig
from altiplano.recipe.schema import CorpusConfig, DeduplicationConfig, SourceConfig
from corpus.support import SAMPLES


def by_force(raw: bytes, least: int) -> list[bool]:
    """Every window of ``least`` bytes that is somewhere before it, too."""
    covered = [False] * len(raw)
    seen: dict[bytes, int] = {}
    for at in range(len(raw) - least + 1):
        window = raw[at : at + least]
        if repeated_substrings.END in window:
            continue
        if seen.setdefault(window, at) != at:
            covered[at : at + least] = [True] * least
    return covered


@settings(max_examples=200)
@given(st.lists(st.sampled_from([97, 98, repeated_substrings.END]), min_size=1, max_size=60), st.integers(1, 6))
def test_repeats_are_those_found_by_force(raw, least):
    found = repeated_substrings.repeats(np.array(raw, np.uint8), least)
    assert found.tolist() == by_force(bytes(raw), least)


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=3))
def test_cutting_leaves_whole_characters(text, spans):
    size = len(text.encode())
    edges = sorted({min(edge, size) for span in spans for edge in span})
    stretches = np.array(edges[: len(edges) // 2 * 2], np.int64).reshape(-1, 2)
    left = repeated_substrings.without(text, stretches)
    assert len(left) <= len(text)
    assert set(left) <= set(text)
    if not len(stretches):
        assert left == text


def test_lines_are_compared_without_their_white_space():
    frequent = np.sort(
        np.array([repeated_lines.line_hash("Home  |  About"), repeated_lines.line_hash("Share this")], np.uint64)
    )
    assert repeated_lines.without("Home | About\nA text\n}\n  Share   this", frequent) == "A text\n}"
    assert repeated_lines.line_hash(" } ") == 0


ESSAYS = (SAMPLES / "essays" / "en.md").read_text(encoding="utf-8").split("\n# ")
ANYTHING = QualityConfig(
    min_characters=10,
    min_language_score=0,
    perplexity_drop=0,
    prose=ProseLimits(**{name: 0 if name.startswith("min") else 1e9 for name in ProseLimits.model_fields}),
)


def curated(tmp_path, texts: list[str], **repeats: int) -> dict[str, dict]:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
    source = SourceConfig(name="pages", domain="web", format="text", path="*.txt")
    settings = DeduplicationConfig(**repeats)
    corpus = CorpusConfig(root=tmp_path, sources=(source,), quality=ANYTHING, deduplication=settings)
    curate(corpus, 0, tmp_path / "out", workers=1)
    return {row["url"]: row for row in pq.read_table(tmp_path / "out" / "documents").to_pylist()}


@pytest.mark.parametrize(("most", "stays"), [(0, True), (3, False), (5, True)])
def test_a_line_that_too_many_pages_have_goes(tmp_path, most, stays):
    rows = curated(tmp_path, [f"Subscribe to our letter\n{essay}" for essay in ESSAYS[:5]], max_line_repeats=most)
    for number, essay in enumerate(ESSAYS[:5]):
        row = rows[f"{number}.txt"]
        assert row["text"].startswith("Subscribe") == stays
        assert row["text"].endswith(essay.strip()[-30:])
        assert row["bytes"] == len(row["text"].encode())


def test_a_later_copy_of_a_passage_goes(tmp_path):
    passage = ESSAYS[5][:600]
    texts = [ESSAYS[0], f"{ESSAYS[1]}\n{passage}\n{ESSAYS[2]}", f"{ESSAYS[3]}\n{passage}\n{ESSAYS[4]}"]
    plain = curated(tmp_path, texts)
    assert sum(passage[100:500] in row["text"] for row in plain.values()) == 2
    rows = curated(tmp_path, texts, min_repeat_bytes=300)
    assert sum(passage[100:500] in row["text"] for row in rows.values()) == 1
    assert all(ESSAYS[at][:50] in rows[f"{number}.txt"]["text"] for number, at in enumerate((0, 1, 3)))
    assert all(row["characters"] == len(row["text"]) for row in rows.values())
