"""The classifier separates as well as fastText does on the same text, and the same text gives the same weights."""

import numpy as np

from altiplano.corpus.classifier.linear_model import BUCKETS, features, load, probability, save, train

SHARE = 0.62


def words(text: str) -> list[str]:
    return text.split()


GOOD = words("the of and in river valley geology sediment measured observed century because therefore")
BAD = words("buy cheap click now best price free shipping the of and in deal online order because")


def texts(nouns, number, seed):
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet(np.full(len(nouns), 0.7))
    return [" ".join(generator.choice(nouns, int(generator.integers(8, 40)), p=weights)) for _ in range(number)]


def auc(good, bad):
    """The probability that a good text has a higher score than a bad one."""
    good, bad = np.asarray(good), np.asarray(bad)
    return float((good[:, None] > bad[None]).mean() + (good[:, None] == bad[None]).mean() / 2)


def mixed(main, other, number, seed):
    """Each word is of the main kind with a probability of SHARE: no classifier is perfect."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(6, 20, number)
    return [
        " ".join(generator.choice(main if generator.random() < SHARE else other) for _ in range(size)) for size in sizes
    ]


def test_it_separates_nearly_as_well_as_anything_can():
    """Beside the likelihood ratio of what made the texts, than which nothing is better (Neyman and Pearson 1933)."""

    def chance(word, main, other):
        return SHARE * main.count(word) / len(main) + (1 - SHARE) * other.count(word) / len(other)

    def ratio(text):
        return sum(np.log(chance(word, GOOD, BAD) / chance(word, BAD, GOOD)) for word in text.split())

    good, bad = mixed(GOOD, BAD, 900, 1), mixed(BAD, GOOD, 900, 2)
    weights = train([features(text) for text in good[:600]], [features(text) for text in bad[:600]])
    ours, best = (
        auc(*([score(text) for text in side[600:]] for side in (good, bad)))
        for score in (lambda text: probability(weights, text), ratio)
    )
    assert best - 0.03 < ours < best + 0.01 and ours > 0.75


def test_the_same_text_gives_the_same_weights(tmp_path):
    good, bad = ([features(text) for text in texts(words, 50, seed)] for seed, words in enumerate((GOOD, BAD)))
    first, second = train(good, bad), train(good, bad)
    assert (first == second).all() and len(first) == BUCKETS + 1
    save(first, tmp_path / "model.npy")
    assert (load(tmp_path / "model.npy") == first).all()


def test_both_kinds_count_alike():
    """A kind with a tenth of the documents is not drowned: what has words of neither is about even."""
    good, bad = [features(text) for text in texts(GOOD, 50, 1)], [features(text) for text in texts(BAD, 500, 2)]
    assert 0.2 < probability(train(good, bad), "unheard words alone") < 0.8


def test_texts_without_words():
    weights = train([features("good words here"), features("")], [features("bad words there")])
    assert 0 <= probability(weights, "") <= 1 and np.isfinite(weights).all()
