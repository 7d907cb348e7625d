"""No rule drops good text for not looking like an article, and what is no text is still dropped."""

import numpy as np
import pytest

from altiplano.corpus.annotations.text_statistics import statistics
from altiplano.corpus.filters.limits import limits_of
from altiplano.recipe.quality import ProseLimits
from corpus.filters.good_text import GOOD, JUNK

KNOWN = {"poetry, en free": {"punctuated lines", "short lines", "sentences"}}
"""Free verse without marks at the ends of its lines looks like a menu to every rule here."""


def broken(language: str, text: str) -> set[str]:
    """Reasons of web pages, by the general limits."""
    found = statistics(text, language)
    limits = [limit for limit in limits_of(ProseLimits()) if limit.column in found]
    return {limit.reason for limit in limits if limit.broken(np.array([found[limit.column]]), limit.general)[0]}


@pytest.mark.parametrize("name", GOOD)
def test_good_text_of_every_kind_passes(name: str) -> None:
    assert broken(*GOOD[name]) == KNOWN.get(name, set())


@pytest.mark.parametrize("name", JUNK)
def test_what_is_no_text_does_not(name: str) -> None:
    assert len(broken(*JUNK[name]) & {"stop words", "short lines", "punctuated lines", "sentences"}) >= 3


def test_braces_of_formulas_are_none() -> None:
    formula = r"Let $x_{1}$ and $\frac{a}{b}$ be in $\{1, 2\}$ with \sqrt[3]{2}."
    assert statistics(formula, "en")["braces"] == 0
    assert statistics("if (x) { return } else { y }", "en")["braces"] > 0.1


def test_rows_of_tables_are_no_lines_of_text() -> None:
    table = "\n".join(f"| cell {at} | another |" for at in range(20))
    found = statistics(f"A sentence about the table stands here.\n{table}\nAnd another one stands below it.", "en")
    assert found["punctuated_lines"] == 1 and found["short_lines"] == 0
