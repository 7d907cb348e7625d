"""Words and their hashes."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.words import ngram_hashes, word_hashes


def test_words_fold_case_and_digits_and_split_unspaced_scripts():
    def same(a, b):
        return np.array_equal(word_hashes(a), word_hashes(b))

    assert same("Hello, World!", "hello world")
    assert same("year 1984", "YEAR 2026") and not same("year 1984", "year 84")
    assert same("北京大学", "北 京 大 学") and len(word_hashes("北京大学 is here")) == 6
    assert len(word_hashes("Straße naïve Привет 한국어")) == 4
    assert not same("ab c", "a bc")
    assert same("don't", "don t")
    assert len(word_hashes("")) == 0 and len(word_hashes("?! …")) == 0
    assert len(word_hashes("emoji 🎉 and 𠀀𠀁")) == 4


@given(st.lists(st.text(alphabet="abcdéжя0 ", min_size=1, max_size=12).filter(str.strip), max_size=20))
def test_equal_words_have_equal_hashes_and_different_ones_do_not(parts):
    text = " ".join(parts)
    words = re.findall(r"\w+", text.lower())
    hashes = word_hashes(text).tolist()
    assert len(hashes) == len(words)
    assert len(set(hashes)) == len(set(words)) == len(dict(zip(words, hashes, strict=True)))


def test_ngrams_are_positions_apart():
    words = word_hashes("a b c d a b c")
    grams = ngram_hashes(words, 3)
    assert len(grams) == 5 and grams[0] == grams[4] and len(set(grams.tolist())) == 4
    assert len(ngram_hashes(words, 8)) == 0
