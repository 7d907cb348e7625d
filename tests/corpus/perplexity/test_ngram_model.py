"""Modified Kneser-Ney against an independent, slow implementation with dictionaries."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.perplexity import model_file, ngram_model
from altiplano.corpus.perplexity.arpa import spell, spellings, write_arpa
from altiplano.corpus.words import word_hashes
from corpus.support import SAMPLES

BEGIN, END = "<s>", "</s>"


class Reference:
    """Chen and Goodman's formulas, read off the paper: counts, continuation counts, three discounts, interpolation.

    Pruning as lmplz does it: discounts from all n-grams, the whole count of a pruned one goes to the back-off.
    """

    def __init__(self, documents, order, min_counts=(1,)):
        least = [1, *(min_counts[min(k, len(min_counts) - 1)] for k in range(1, order))]
        self.order = order
        raw = defaultdict(Counter)
        for document in documents:
            words = (BEGIN, *document, END)
            for k in range(1, order + 1):
                for i in range(len(words) - k + 1):
                    raw[k][words[i : i + k]] += 1
        self.counts = {order: dict(raw[order])}
        for k in range(1, order):
            before = defaultdict(set)
            for gram in raw[k + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[k] = {g: raw[k][g] if g[0] == BEGIN else len(before[g]) for g in raw[k]}
        self.counts[1][(BEGIN,)] = 0
        self.discounts = {}
        for k in range(1, order + 1):
            n = Counter(self.counts[k].values())
            if min(n[1], n[2], n[3], n[4]) == 0:
                self.discounts[k] = [0, 0.5, 1.0, 1.5]
                continue
            y = n[1] / (n[1] + 2 * n[2])
            d = [0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
            good = all(0 < d[j] <= j for j in (1, 2, 3))
            self.discounts[k] = d if good else [0, 0.5, 1.0, 1.5]
        self.pruned = {g for k in raw for g in raw[k] if raw[k][g] < least[k - 1]}
        self.vocab_size = len(self.counts[1])  # without the begin mark, with the unknown word
        self.following = {k: defaultdict(list) for k in range(1, order + 1)}
        for k in range(1, order + 1):
            for gram, count in self.counts[k].items():
                self.following[k][gram[:-1]].append((count, gram in self.pruned))

    def probability(self, context, word):
        k = len(context) + 1
        counts = self.following[k].get(context, [])
        lower = self.probability(context[1:], word) if context else 1 / self.vocab_size
        total = sum(count for count, _ in counts)
        if not total or context in self.pruned:
            return lower
        discount = self.discounts[k]
        own = 0 if (*context, word) in self.pruned else self.counts[k].get((*context, word), 0)
        freed = sum(c if gone else discount[min(c, 3)] for c, gone in counts) / total
        return max(own - discount[min(own, 3)], 0) / total + freed * lower

    def perplexity(self, document):
        words = (BEGIN, *document, END)
        logs = [
            math.log(self.probability(words[max(0, i - self.order + 1) : i], words[i])) for i in range(1, len(words))
        ]
        return math.exp(-sum(logs) / len(logs))


def zipf_documents(seed, number, vocabulary=60):
    """Words by Zipf's law with some memory, so that all orders have counts of one to four and more."""
    random = np.random.default_rng(seed)
    names = [chr(0x61 + i % 26) + chr(0x61 + i // 26) for i in range(vocabulary)]
    weights = 1 / np.arange(1, vocabulary + 1)
    documents = []
    for _ in range(number):
        words = [names[i] for i in random.choice(vocabulary, random.integers(1, 60), p=weights / weights.sum())]
        documents.append([w for word in words for w in ([word, names[len(word)]] if random.random() < 0.3 else [word])])
    return documents


def hashed(documents):
    return [word_hashes(" ".join(document)) for document in documents]


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_equals_the_reference(order):
    train, other = zipf_documents(1, 150), [*zipf_documents(2, 25), ["quite", "unknown", "words"], [], ["aa"]]
    reference = Reference(train, order)
    assert any(reference.discounts[k] != [0, 0.5, 1.0, 1.5] for k in reference.discounts)
    model = ngram_model.train(hashed(train), order)
    found = ngram_model.perplexities(model, hashed(other))
    assert found == pytest.approx([reference.perplexity(document) for document in other], rel=1e-12)


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=8), min_size=1, max_size=8), st.integers(2, 4))
def test_equals_the_reference_on_tiny_corpora(documents, order):
    reference = Reference(documents, order)
    model = ngram_model.train(hashed(documents), order)
    probes = [["a", "b"], ["z"], ["c", "c", "c"], []]
    expected = []
    for probe in probes:
        try:
            expected.append(reference.perplexity(probe))
        except ValueError:  # log of zero: nothing was left for the unknown word
            expected.append(math.inf)
    assert ngram_model.perplexities(model, hashed(probes)) == pytest.approx(expected, rel=1e-9)


def test_probabilities_add_up_to_one():
    train = zipf_documents(3, 100)
    reference = Reference(train, 3)
    words = sorted({word for document in train for word in document})
    for context in [("aa",), ("aa", "ba"), (BEGIN,), (BEGIN, "aa")]:
        total = sum(reference.probability(context, w) for w in [*words, END, "unknown"])
        assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("min_counts", [(1, 2), (1, 1, 2), (1, 2, 3)])
def test_pruned_equals_the_reference(min_counts):
    train, other = zipf_documents(1, 150), [*zipf_documents(2, 25), ["quite", "unknown", "words"], []]
    reference = Reference(train, 3, min_counts)
    model = ngram_model.train(hashed(train), 3, min_counts)
    whole = ngram_model.train(hashed(train), 3)
    assert len(model.keys[2]) < len(whole.keys[2]) and len(model.keys[0]) == len(whole.keys[0])
    found = ngram_model.perplexities(model, hashed(other))
    assert found == pytest.approx([reference.perplexity(document) for document in other], rel=1e-12)


def test_minima_that_fall_are_refused():
    with pytest.raises(ValueError, match="must not fall"):
        ngram_model.train(hashed([["a"]]), 3, (1, 3, 2))


@pytest.mark.parametrize("quantised", [False, True])
def test_saves_and_loads(tmp_path, quantised):
    documents = hashed(zipf_documents(4, 200))
    model = ngram_model.train(documents, 3)
    model_file.save(model, tmp_path / "model", quantised)
    again = model_file.load(tmp_path / "model")
    assert isinstance(again.keys[2].base, np.memmap) or isinstance(again.keys[2], np.memmap)
    exact, found = ngram_model.perplexities(model, documents), ngram_model.perplexities(again, documents)
    assert np.array_equal(exact, found) or (quantised and found == pytest.approx(exact, rel=0.02))


def test_quantised_is_small_and_keeps_the_order_of_documents(tmp_path):
    documents, other = hashed(zipf_documents(5, 1500)), hashed(zipf_documents(6, 100))
    model = ngram_model.train(documents, 4)
    for quantised in (False, True):
        model_file.save(model, tmp_path / str(quantised), quantised)
    n = sum(map(len, model.keys))
    assert (tmp_path / "True").stat().st_size < 10 * n + 100_000 < 24 * n < (tmp_path / "False").stat().st_size
    exact = ngram_model.perplexities(model, other)
    found = ngram_model.perplexities(model_file.load(tmp_path / "True"), other)
    assert np.corrcoef(np.argsort(np.argsort(exact)), np.argsort(np.argsort(found)))[0, 1] > 0.999


ESSAYS = [
    essay for path in sorted((SAMPLES / "essays").glob("*.md")) for essay in path.read_text("utf-8").split("\n# ")
]


@pytest.mark.parametrize(("order", "min_counts"), [(3, (1,)), (4, (1, 1, 2)), (5, (1, 1, 2))])
def test_kenlm_reads_our_arpa_file_and_scores_the_same(tmp_path, order, min_counts):
    kenlm = pytest.importorskip("kenlm")
    train, other = ESSAYS[::2], ESSAYS[1::2]
    model = ngram_model.train([word_hashes(text) for text in train], order, min_counts, keep_words=True)
    write_arpa(model, spellings(train), tmp_path / "model.arpa")
    oracle = kenlm.Model(str(tmp_path / "model.arpa"))
    assert oracle.order == order
    ours = ngram_model.perplexities(model, [word_hashes(text) for text in other])
    theirs = []
    for text in other:
        words = spell(text)
        theirs.append(10 ** (-oracle.score(" ".join(words)) / (len(words) + 1)))
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_arpa_needs_the_words(tmp_path):
    with pytest.raises(ValueError, match="keep_words"):
        write_arpa(ngram_model.train(hashed([["a"]]), 2), {}, tmp_path / "x.arpa")


def test_prose_is_likelier_than_its_words_shuffled():
    essays = (SAMPLES / "essays" / "en.md").read_text().split("\n# ")
    model = ngram_model.train([word_hashes(essay) for essay in essays[:10]], 3)
    for essay in essays[10:]:
        words = word_hashes(essay)
        shuffled = np.random.default_rng(0).permutation(words)
        plain, mixed = ngram_model.perplexities(model, [words, shuffled])
        assert plain < mixed
