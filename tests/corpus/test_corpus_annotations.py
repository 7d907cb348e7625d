"""Words, statistics and language."""

import re

import numpy as np
import pytest
from corpus_support import SAMPLES
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.statistics import statistics
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


def test_statistics():
    found = statistics("same line here\nsame line here\nother words now\n")
    assert found["repeated_lines"] == pytest.approx(14 / 43, abs=1e-5)
    assert found["words"] == 9 and found["characters"] == 46
    assert statistics("```\nx\nx\nx\n```\nprose")["repeated_lines"] == 0
    assert statistics("a?!b")["symbols"] == 0.5
    assert statistics("one two three four five " * 10)["repeated_words"] > 0.8
    assert statistics("")["words"] == 0


def test_language_of_every_sample_essay():
    total = right = 0
    for path in sorted((SAMPLES / "essays").glob("*.md")):
        for essay in path.read_text(encoding="utf-8").split("\n# "):
            language, score = language_of(essay)
            total += 1
            right += language == path.stem and score > 0.5
    assert total > 50 and right == total


def test_language_ignores_code_and_formulas():
    code = "```python\n" + "for index in range(length): return None\n" * 20 + "```\n"
    assert language_of(code + "Der Ofen ist heiß und das Brot braucht noch eine halbe Stunde.")[0] == "de"
    assert language_of("$$" + "x = y + z, " * 50 + "$$ La fonction est continue sur tout intervalle fermé.")[0] == "fr"
    assert language_of("12345 --- !!!") == ("und", 0.0)
