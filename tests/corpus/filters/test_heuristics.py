"""Reasons, and limits that are loosened to trusted text: pure functions over columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.annotations import code_quality, text_statistics
from altiplano.corpus.filters.heuristics import HEURISTICS, prose_groups, quality
from altiplano.corpus.filters.limits import FIRM, WEB_ONLY, limits_of
from altiplano.recipe.quality import CodeLimits, ProseLimits, QualityConfig
from altiplano.recipe.schema import CorpusConfig, SourceConfig

SOURCES = (
    SourceConfig(name="pages", domain="web", format="text", path="*.txt"),
    SourceConfig(name="manuals", domain="reference", format="text", path="*.md"),
)


CORPUS = CorpusConfig(sources=SOURCES, languages=("en", "fr"))


GOOD = {
    "language_score": 0.95, "characters": 500, "alphabetic_words": 0.9, "stop_words": 8.0, "punctuated_lines": 0.8,
    "sentences": 9.0, "alphanumeric": 0.7, "parses": 1.0,
}  # fmt: skip


def columns(rows=3, **changes):
    """Documents that pass, changed: by default a web page in English, one in French, and code."""
    numbers = {*text_statistics.COLUMNS, *code_quality.COLUMNS, "english", "personal_data", *GOOD}
    found = {name: np.full(rows, GOOD.get(name, 0.0)) for name in numbers}
    found["id"] = np.array([f"{i:04d}" for i in range(rows)], object)
    plain = {"domain": ["web", "web", "code"], "language": ["en", "fr", "code"], "source": ["pages", "pages", "pages"]}
    for name, values in {**plain, "second_language": plain["language"], **changes}.items():
        found[name] = np.array(values, object if isinstance(values[0], str) else None)
    return found


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ["", "", ""]),
        ({"characters": [0, 199, 199]}, ["no text", "too short", "too short"]),
        ({"language": ["de", "fr", "code"]}, ["language not wanted", "", ""]),
        ({"language_score": [0.4, 0.6, 0.0]}, ["language uncertain", "", ""]),
        ({"language_score": [0.8, 0.8, 0.0], "second_language": ["en", "oc", "code"]}, ["", "language uncertain", ""]),
        ({"language_score": [0.95] * 3, "second_language": ["de", "oc", "code"]}, ["", "", ""]),
        ({"repeated_lines": [0.4, 0.1, 0.6]}, ["repeated lines", "", "repeated lines"]),
        ({"duplicate_5grams": [0.4, 0.1, 0.4]}, ["duplicate 5grams", "", ""]),
        ({"symbols": [0.4, 0.3, 0.4]}, ["symbols", "", ""]),
        ({"word_length": [20.0, 5, 5]}, ["word length", "", ""]),
        ({"line_length": [500.0, 5, 500]}, ["", "", "line length"]),
        ({"stop_words": [1.0, np.nan, 0]}, ["stop words", "", ""]),
        ({"generated": [1.0, 0, 1]}, ["", "", "generated"]),
        ({"parses": [0.0, 0, 0]}, ["", "", "parses"]),
        ({"comments": [np.nan, np.nan, np.nan], "parses": [np.nan] * 3}, ["", "", ""]),
        ({"personal_data": [16.0, 14, 16]}, ["personal data", "", "personal data"]),
        ({"english": [0.0, 0.6, 0]}, ["", "english", ""]),
    ],
)
def test_reasons(changes, reasons):
    assert quality(columns(**changes), CORPUS).tolist() == reasons


def test_every_limit_is_a_column_and_a_reason():
    known = set(columns())
    for limit in [*limits_of(ProseLimits()), *limits_of(CodeLimits())]:
        assert limit.column in known and limit.reason in HEURISTICS
    assert {limit.column for limit in limits_of(ProseLimits())} >= WEB_ONLY | FIRM


def trusted_columns(values, column="short_lines", language="de"):
    """One web page of the language with value 0.9, and trusted documents with the values."""
    n = len(values)
    return columns(
        n + 1,
        domain=["web", *["reference"] * n],
        language=[language] * (n + 1),
        second_language=[language] * (n + 1),
        source=["pages", *["manuals"] * n],
        **{column: [0.9, *values]},
    )


def limits(found, corpus):
    return {(group.domain, group.language): group for group in prose_groups(found, corpus)}


def test_limits_give_way_to_trusted_text_of_the_language():
    corpus = CorpusConfig(sources=SOURCES)
    lenient = trusted_columns(np.linspace(0, 0.95, 100))
    group = limits(lenient, corpus)["web", "de"]
    assert (
        group.basis == "de"
        and group.trusted == 100
        and group.limits["short_lines"] == pytest.approx(0.95 * 98 / 99, abs=0.01)
    )
    assert quality(lenient, corpus)[0] == ""
    fixed = corpus.model_copy(update={"quality": QualityConfig(thresholds="fixed")})
    assert quality(lenient, fixed)[0] == "short lines"
    strict = trusted_columns(np.linspace(0, 0.2, 100))  # a limit never becomes stricter
    assert limits(strict, corpus)["web", "de"].limits["short_lines"] == ProseLimits().max_short_lines
    few = trusted_columns(np.linspace(0, 0.95, 29))
    assert limits(few, corpus)["web", "de"].basis == "general"


def test_only_named_sources_are_trusted_and_firm_limits_stay():
    named = CorpusConfig(sources=SOURCES, quality=QualityConfig(trusted=("pages",)))
    assert limits(trusted_columns(np.full(100, 0.9)), named)["web", "de"].basis == "general"
    listed = trusted_columns(np.full(100, 0.9), column="listed_words")
    assert (
        limits(listed, CorpusConfig(sources=SOURCES))["web", "de"].limits["listed_words"]
        == ProseLimits().max_listed_words
    )


def test_web_rules_are_for_the_web():
    pages = columns(3, domain=["web", "reference", "academic"], language=["en"] * 3, second_language=["en"] * 3,
                    braces=[0.5] * 3)  # fmt: skip
    assert quality(pages, CORPUS).tolist() == ["braces", "", ""]


@given(st.lists(st.floats(0, 1), min_size=30, max_size=60))
def test_at_least_the_share_of_trusted_documents_passes_each_limit(values):
    found = trusted_columns(values)
    group = limits(found, CorpusConfig(sources=SOURCES))["reference", "de"]
    assert "short_lines" not in group.limits  # a web rule
    web = limits(found, CorpusConfig(sources=SOURCES))["web", "de"].limits["short_lines"]
    assert np.mean(np.array(values) <= web + 1e-6) >= 0.98


def test_names_of_unknown_sources_are_refused():
    with pytest.raises(ValueError, match=r"quality\.trusted names 'nobody', which is no source: manuals, pages"):
        CorpusConfig(sources=SOURCES, quality=QualityConfig(trusted=("nobody",)))
    with pytest.raises(ValueError, match=r"quality\.reference names 'nobody'"):
        CorpusConfig(sources=SOURCES, quality=QualityConfig(reference={"en": "nobody"}))
    with pytest.raises(ValueError, match="never falling"):
        QualityConfig(perplexity_min_count=(1, 3, 2))
