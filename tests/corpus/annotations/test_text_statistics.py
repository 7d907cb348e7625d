"""Statistics of a text, word lists, code quality."""

import itertools
import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.annotations.code_quality import code_quality
from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.text_statistics import statistics
from altiplano.corpus.annotations.word_lists import read_word_lists
from altiplano.errors import InputError


def test_statistics():
    found = statistics("same line here\nsame line here\nother words now\n", "en")
    assert found["repeated_lines"] == pytest.approx(14 / 43, abs=1e-5)
    assert found["words"] == 9 and found["characters"] == 46
    assert statistics("```\nx\nx\nx\n```\nprose", "en")["repeated_lines"] == 0
    assert statistics("a?!b", "en")["symbols"] == 0.5
    assert statistics("one two three four five " * 10, "en")["duplicate_5grams"] > 0.6
    assert statistics("", "en")["words"] == 0
    assert not math.isnan(sum(statistics("", "en").values()))


def test_statistics_of_lines():
    text = "• one thing\n- another\n-5 degrees\nThe end of it...\nReally? “Yes.”\n\nA sentence.\n{ } # # word"
    found = statistics(text, "en")
    assert found["bullet_lines"] == pytest.approx(2 / 7) and found["ellipsis_lines"] == pytest.approx(1 / 7)
    assert found["punctuated_lines"] == pytest.approx(3 / 7) and found["short_lines"] == pytest.approx(4 / 7)
    assert found["hash_signs"] == pytest.approx(2 / found["words"]) and found["ellipses"] == pytest.approx(
        1 / found["words"]
    )
    assert found["braces"] == pytest.approx(2 / len(text)) and found["longest_line"] == 16
    assert found["sentences"] == 4  # the three dots end one
    assert statistics("We use cookies.\nRead our privacy policy.\nPlease enable JavaScript", "en")["boilerplate"] == 1
    assert statistics("Lorem ipsum dolor", "en")["lorem_ipsum"] == 1


def test_statistics_of_scripts_without_spaces():
    chinese = "北京大学是一所很好的大学。它在中国的首都。"
    found = statistics(chinese, "zh")
    assert found["words"] == 19 and found["word_length"] == 1 and found["stop_words"] >= 3
    assert found["punctuated_lines"] == 1 and found["sentences"] == 2
    assert statistics(chinese * 8, "zh")["duplicate_10grams"] > 0.7
    thai = statistics("ฉันชอบอ่านหนังสือ", "th")
    assert thai["words"] > 10 and math.isnan(thai["punctuated_lines"]) and math.isnan(thai["stop_words"])


def test_function_words_are_counted_per_language():
    text = "Das Haus ist alt und die Tür ist neu"
    assert statistics(text, "de")["stop_words"] == 4 and statistics(text, "en")["stop_words"] == 0
    assert math.isnan(statistics(text, "xx")["stop_words"])


def gopher_repetition(text):
    """Gopher's repetition as one writes it down: sets and counters over lists of words."""
    words = re.findall(r"\w+", text.lower())
    found = {}
    for n in (2, 3, 4):
        grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        top = max(grams.values(), default=0)
        first = next((g for g in grams if grams[g] == top), ())
        found[f"top_{n}grams"] = top * len(" ".join(first)) / len(text) if top > 1 else 0.0
    for n in range(5, 11):
        seen, repeated, i = set(), 0, 0
        while i <= len(words) - n:
            gram = tuple(words[i : i + n])
            if gram in seen:
                repeated += len("".join(gram))
                i += n
            else:
                seen.add(gram)
                i += 1
        found[f"duplicate_{n}grams"] = repeated / len(text)
    return found


@given(st.lists(st.sampled_from(["aa", "bb", "cc", "dd", "ee"]), min_size=1, max_size=80))
def test_repetition_equals_the_plain_definition(words):
    text = " ".join(words)
    found = statistics(text, "en")
    for name, value in gopher_repetition(text).items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


@given(st.lists(st.sampled_from(["one line", "two lines, more", "", "three", "  two lines, more "]), max_size=25))
def test_repeated_lines_and_paragraphs_equal_the_plain_definition(lines):
    text = "\n".join(lines)
    found = statistics(text, "en")
    plain = [line.strip() for line in lines if line.strip()]
    blocks = [
        tuple(line.strip() for line in block.split("\n"))
        for block in re.split(r"\n\s*\n", text.strip())
        if block.strip()
    ]
    for parts, size, name in ((plain, len, "line"), (blocks, lambda block: sum(map(len, block)), "paragraph")):
        again = [part for i, part in enumerate(parts) if part in parts[:i]]
        assert found[f"repeated_{name}_count"] == pytest.approx(len(again) / max(len(parts), 1), abs=1e-6)
        share = sum(map(size, again)) / max(sum(map(size, parts)), 1)
        assert found[f"repeated_{name}s"] == pytest.approx(share, abs=1e-6)


@given(st.text(max_size=300))
def test_any_text_has_statistics_and_a_language(text):
    text = text.encode("utf-8", "replace").decode()
    found = statistics(text, "en")
    assert all(0 <= found[name] <= 1 for name in ("symbols", "repeated_lines", "short_lines", "alphanumeric"))
    language_of(text)


def test_word_lists_count_words_and_phrases(tmp_path):
    (tmp_path / "en.txt").write_text("# my list\nblasted\ndash it all\n\n")
    lists = read_word_lists({"en": tmp_path / "en.txt"})
    assert statistics("Dash it all, the BLASTED thing is late", "en", lists["en"])["listed_words"] == pytest.approx(
        2 / 8
    )
    assert statistics("A dash of salt", "en", lists["en"])["listed_words"] == 0
    with pytest.raises(InputError, match=r"corpus\.quality\.word_lists\.de: cannot read"):
        read_word_lists({"de": tmp_path / "gone.txt"})


def test_code_quality():
    python = "# a comment\nimport os\n\n# another\nprint(os)\n"
    found = code_quality(python, "python", whole=True)
    assert found == {"comments": 0.5, "generated": 0.0, "parses": 1.0}
    assert code_quality("print 'two'", "python", whole=True)["parses"] == 0
    assert math.isnan(code_quality("def f(:", "python", whole=False)["parses"])
    c = "/* one\n * two\n */\nint x; // three\n// four\n"
    assert code_quality(c, "c", whole=True)["comments"] == 0.8
    assert (
        code_quality("// Code generated by protoc-gen-go. DO NOT EDIT.\npackage x", "go", whole=True)["generated"] == 1
    )
    assert code_quality("def generate(): return 'edit'", "python", whole=True)["generated"] == 0
    assert math.isnan(code_quality("# Title", "markdown", whole=True)["comments"])


def test_repetition_is_of_what_stands_near():
    """A phrase that comes back after many pages is no repetition; one that comes back soon is, wherever it stands."""
    words = ["".join(letters) for letters in itertools.islice(itertools.product("abcdefghij", repeat=4), 1200 * 7)]
    phrases = [" ".join(words[at : at + 7]) for at in range(0, len(words), 7)]
    once = statistics(" ".join(phrases), "en")
    twice = statistics(" ".join(phrases + phrases), "en")
    near = statistics(" ".join(phrases + [phrases[number // 2] for number in range(1200)]), "en")
    assert once["duplicate_5grams"] == 0 and twice["duplicate_5grams"] < 0.03
    assert near["duplicate_5grams"] > 0.1
