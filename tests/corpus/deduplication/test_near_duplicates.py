"""Duplicates are found in every script, and texts that only share a passage are kept."""

import itertools
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.deduplication import edges, minhash
from altiplano.corpus.deduplication.clusters import components
from altiplano.corpus.documents import DocumentShard
from altiplano.recipe.schema import DeduplicationConfig
from corpus.support import SAMPLES

SETTINGS = DeduplicationConfig()


def signed(tmp_path, texts):
    path = tmp_path / "shard.parquet"
    pq.write_table(pa.table({"text": texts}), path)
    rows, values = minhash.signatures(DocumentShard(0, path, 0, len(texts), 1), np.arange(len(texts)), SETTINGS)
    return rows.tolist(), values


def confirmed_pairs(values, settings=SETTINGS):
    """Rows that share a band and agree well enough."""
    keys = minhash.band_keys(values, settings).reshape(-1)
    found = edges.pairs(np.stack((keys, np.repeat(np.arange(len(values), dtype=np.uint64), settings.bands))))
    alike = (values[found[:, 0]] == values[found[:, 1]]).mean(axis=1) >= settings.min_similarity
    return found[alike]


def duplicates(tmp_path, texts):
    rows, values = signed(tmp_path, texts)
    return {frozenset((rows[a], rows[b])) for a, b in confirmed_pairs(values)}


def sentences(seed, number=60):
    words = [w for w in (SAMPLES / "essays" / "en.md").read_text().split() if w.isalpha()]
    picks = random.Random(seed)
    return [picks.choice(words) for _ in range(number * 8)]


def jaccard(a, b):
    grams = [{tuple(t[i : i + 5]) for i in range(len(t) - 4)} for t in (a, b)]
    return len(grams[0] & grams[1]) / len(grams[0] | grams[1])


def changed(words, every, seed):
    picks = random.Random(seed)
    return [picks.choice(words) if i % every == every - 1 else word for i, word in enumerate(words)]


def test_planted_near_duplicates_are_caught(tmp_path):
    originals = [sentences(i) for i in range(30)]
    copies = [changed(words, 90, i) for i, words in enumerate(originals)]
    assert min(jaccard(a, b) for a, b in zip(originals, copies, strict=True)) > 0.85
    found = duplicates(tmp_path, [" ".join(t) for t in originals + copies])
    assert found == {frozenset((i, i + 30)) for i in range(30)}


def test_texts_below_half_similarity_are_kept(tmp_path):
    originals = [sentences(i) for i in range(40)]
    halves = [words[:300] + sentences(1000 + i)[:180] for i, words in enumerate(originals)]
    similar = [jaccard(a, b) for a, b in zip(originals, halves, strict=True)]
    assert min(similar) > 0.4 and max(similar) < 0.5
    assert duplicates(tmp_path, [" ".join(t) for t in originals + halves]) == set()


def test_scripts_without_spaces(tmp_path):
    essays = (SAMPLES / "essays" / "zh.md").read_text(encoding="utf-8").split("\n# ")
    edited = essays[0].replace("八十度", "八十五度").replace("慢慢就会了", "渐渐就会了")
    thai = "ภูเขาสูงในภาคเหนือมีหมอกหนาในตอนเช้าและชาวบ้านปลูกชาไว้ตามไหล่เขาเพื่อขายที่ตลาดในเมือง" * 2
    texts = [*essays, edited, thai, thai.replace("ตอนเช้า", "ตอนเย็น")]
    assert duplicates(tmp_path, texts) == {frozenset((0, len(essays))), frozenset((len(texts) - 2, len(texts) - 1))}


def test_case_and_punctuation_do_not_matter(tmp_path):
    text = " ".join(sentences(5))
    assert duplicates(tmp_path, [text, text.upper().replace(" ", ", "), "entirely other words " * 3]) == {
        frozenset((0, 1))
    }


def test_texts_without_a_whole_ngram_are_not_compared(tmp_path):
    rows, values = signed(tmp_path, ["", "   ", "one two three four", "!!! ???", "one two three four five", "\n"])
    assert rows == [4] and values.shape == (1, 112)
    assert duplicates(tmp_path, ["", "", "a b", "c d"]) == set()


def test_estimates_follow_jaccard(tmp_path):
    originals = [sentences(i) for i in range(20)]
    copies = [changed(words, 10 + 5 * i, i) for i, words in enumerate(originals)]
    rows, values = signed(tmp_path, [" ".join(t) for t in originals + copies])
    assert rows == list(range(40))
    errors = [(values[i] == values[i + 20]).mean() - jaccard(originals[i], copies[i]) for i in range(20)]
    assert np.abs(errors).mean() < 0.06


def test_bands_agree_with_duckdb(tmp_path):
    import duckdb

    originals = [sentences(i) for i in range(40)]
    texts = [" ".join(t) for t in originals + [changed(words, 40, i) for i, words in enumerate(originals)]]
    _, values = signed(tmp_path, texts)
    keys = minhash.band_keys(values, SETTINGS)
    rows = [  # the oracle groups the rows of each band themselves, not our hashes of them
        (row, band, ",".join(map(str, values[row, band * 8 : band * 8 + 8])))
        for row, band in itertools.product(range(len(values)), range(14))
    ]
    table = pa.table({"row": [r[0] for r in rows], "band": [r[1] for r in rows], "key": [r[2] for r in rows]})
    query = "select a.row, b.row from t a join t b on a.band = b.band and a.key = b.key and a.row < b.row group by all"
    expected = set(duckdb.connect().register("t", table).execute(query).fetchall())
    same = {(a, b) for a, b in itertools.combinations(range(len(values)), 2) if (keys[a] == keys[b]).any()}
    assert same == expected
    confirmed = {(a, b) for a, b in expected if (values[a] == values[b]).mean() >= SETTINGS.min_similarity}
    ours, oracle = (
        components(len(values), *np.array(sorted(e), np.int64).T)
        for e in (set(map(tuple, confirmed_pairs(values).tolist())), confirmed)
    )
    assert np.array_equal(ours, oracle)


@given(st.lists(st.integers(0, 3), max_size=12))
def test_equal_keys_are_joined(values):
    keys = np.array(values, np.uint64)
    found = edges.pairs(np.stack((keys, np.arange(len(keys), dtype=np.uint64))))
    roots = components(len(values), *found.T)
    for i, j in itertools.combinations(range(len(values)), 2):
        assert (roots[i] == roots[j]) == (values[i] == values[j])


@given(st.integers(0, 10**9))
def test_ranges_of_keys_cover_every_key_once(keys):
    tasks = edges.edge_tasks(keys, Path("x"))
    assert tasks[0].low == 0
    assert tasks[-1].high == 2**64 - 1
    assert all(one.high + 1 == other.low for one, other in itertools.pairwise(tasks))


@given(st.integers(1, 20).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_connected_and_named_by_their_smallest_member(graph):
    size, edges = graph
    left, right = (np.array([e[k] for e in edges], np.int64) for k in (0, 1))
    found = components(size, left, right)
    reach = [{i} for i in range(size)]
    for _ in range(size):
        for a, b in edges:
            both = reach[a] | reach[b]
            for node in both:
                reach[node] = reach[node] | both
    assert found.tolist() == [min(nodes) for nodes in reach]


def test_at_080_nearly_all_are_caught_and_at_050_hardly_any():
    """Pairs all over the two ranges of similarity: at least 97 % of the upper, at most 1 % of the lower are copies."""
    picks = np.random.default_rng(0)

    def pair(low, high):
        while True:
            words = picks.integers(0, 50_000, 400)
            other = words.copy()
            share = 1 - (2 * picks.uniform(low, high) / (1 + picks.uniform(low, high))) ** 0.2
            at = picks.random(400) < share
            other[at] = picks.integers(50_000, 90_000, int(at.sum()))
            texts = [" ".join(f"w{chr(97 + w % 26)}{_letters(w)}" for w in side.tolist()) for side in (words, other)]
            if low <= jaccard(*(text.split() for text in texts)) <= high:
                return texts

    for low, high, least, most in ((0.8, 1.0, 0.97, 1.0), (0.3, 0.5, 0.0, 0.01)):
        texts = [text for _ in range(300) for text in pair(low, high)]
        rows, values = minhash.sign(texts, SETTINGS)
        assert rows.tolist() == list(range(600))
        found = {tuple(both) for both in confirmed_pairs(values).tolist()}
        caught = sum((2 * at, 2 * at + 1) in found for at in range(300)) / 300
        assert least <= caught <= most


def _letters(number):
    """The number in letters: digits would all be folded into one."""
    return "".join(chr(97 + int(digit)) for digit in str(number))
