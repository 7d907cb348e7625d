"""Which language a text is in, and how much of it is English."""

import pytest

from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.language_tags import declared_language
from corpus.support import SAMPLES


def test_language_of_every_sample_essay():
    total = right = 0
    for path in sorted((SAMPLES / "essays").glob("*.md")):
        for essay in path.read_text(encoding="utf-8").split("\n# "):
            found = language_of(essay)
            total += 1
            right += found.code == found.second == path.stem and found.score > 0.5 and found.english < 0.2
    assert total > 50 and right == total


def test_language_ignores_code_and_formulas():
    code = "```python\n" + "for index in range(length): return None\n" * 20 + "```\n"
    assert language_of(code + "Der Ofen ist heiß und das Brot braucht noch eine halbe Stunde.").code == "de"
    formula = "$$" + "x = y + z, " * 50 + "$$ La fonction est continue sur tout intervalle fermé."
    assert language_of(formula).code == "fr"
    assert language_of("12345 --- !!!") == ("und", 0.0, "und", 0.0)


def test_half_translated_text_shows_its_english():
    german = "Die Kirche steht am Rand des Dorfes und wurde im letzten Jahr neu gedeckt.\n"
    english = "The church stands at the edge of the village and got a new roof last year.\n"
    assert language_of(german * 6).english == 0
    assert language_of(german * 6 + english * 4).english == pytest.approx(0.4, abs=0.02)
    assert language_of(english * 6 + german * 2).english == 0  # an English text is not half translated


def test_declared_language():
    assert declared_language("reference/react-de.jsonl.gz#3", "") == "de"
    assert declared_language("docs/zh-hans/intro.md", "") == "zh"
    assert declared_language("crawl-0001.warc.gz#7", "https://host.example/fr/page?x=1") == "fr"
    assert declared_language("crawl-0001.warc.gz#7", "https://host.example/about.html") == ""
    assert declared_language("node/src/main.c", "") == ""
