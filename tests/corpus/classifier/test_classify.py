"""The classifier as a step of curation: trained on what the recipe names, deciding by itself, compared in the audit."""

import json

import numpy as np
import pytest

from altiplano.corpus.curation import curate
from altiplano.errors import InputError
from altiplano.recipe.quality import ClassifierConfig, QualityConfig
from altiplano.recipe.schema import CorpusConfig, DeduplicationConfig, SourceConfig
from altiplano.records import Audit
from corpus.support import documents


def words(text: str) -> list[str]:
    return text.split()


SUBJECTS = words("river valley forest harbour engine market winter letter journey window garden teacher bridge island")
VERBS = words("crosses follows remembers describes measures explains carries watches answers protects")
SHOP = words("discount shipping voucher checkout wishlist bargain coupon retailer basket outlet")


def text(generator, nouns):
    lines = []
    for _ in range(14):
        pick = [str(generator.choice(nouns)) for _ in range(4)]
        verb = generator.choice(VERBS)
        lines.append(f"The {pick[0]} of the {pick[1]} {verb} what was in the {pick[2]} and the {pick[3]} that we have.")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Books, web pages like them, and web pages like shops, which are a fifth of the web."""
    path = tmp_path_factory.mktemp("classifier")
    generator = np.random.default_rng(0)
    books = [text(generator, SUBJECTS) for _ in range(160)]
    web = [text(generator, SHOP if number % 5 == 0 else SUBJECTS) for number in range(200)]
    for name, found in (("books", books), ("web", web)):
        lines = [json.dumps({"text": one, "url": f"{name}-{number}"}) for number, one in enumerate(found)]
        (path / f"{name}.jsonl").write_text("\n".join(lines))
    return path


def corpus(folder, **quality):
    sources = tuple(
        SourceConfig(name=name, domain=domain, format="jsonl", path=f"{name}.jsonl")
        for name, domain in (("books", "reference"), ("web", "web"))
    )
    alike = DeduplicationConfig(min_similarity=1)
    return CorpusConfig(root=folder, sources=sources, quality=QualityConfig(**quality), deduplication=alike)


@pytest.fixture(scope="module")
def curated(folder):
    classifier = ClassifierConfig(positive=("books",), negative=("web",), drop=0.1)
    curate(corpus(folder, classifier=classifier, perplexity_drop=0.1), 0, folder / "out", workers=1)
    return folder / "out"


def test_the_worst_of_the_negative_source_goes(curated):
    rows = [row for row in documents(curated) if row["source"] == "web"]
    shops = [row for row in rows if int(row["url"].partition("-")[2]) % 5 == 0]
    others = [row for row in rows if row not in shops]
    known = [row["classifier"] for row in shops if not np.isnan(row["classifier"])]
    assert len(known) > 15
    assert max(known) < min(row["classifier"] for row in others if not np.isnan(row["classifier"]))
    assert sum(row["reason"] == "classifier" for row in shops) >= 5
    assert not any(row["reason"] == "classifier" for row in others)
    books = [row for row in documents(curated) if row["source"] == "books"]
    assert not any(row["reason"] == "classifier" for row in books)
    assert sum(not np.isnan(row["classifier"]) for row in books) > 130  # judged by the half that has not seen them


def test_the_audit_says_where_the_two_disagree(curated):
    audit = Audit.read(curated / "audit.json")
    rows = [row for row in documents(curated) if row["source"] == "web" and not np.isnan(row["classifier"])]
    (verdicts,) = audit.classifier
    bad = [row["classifier"] < verdicts.smallest for row in rows]
    perplexity = [row["reason"] == "perplexity" for row in rows]
    expected = [
        sum(p == wanted and b == also for p, b in zip(perplexity, bad, strict=True))
        for wanted, also in ((False, False), (True, False), (False, True), (True, True))
    ]
    found = verdicts.both_keep, verdicts.only_perplexity_drops, verdicts.only_classifier_drops, verdicts.both_drop
    assert verdicts.group == "web.en" and list(found) == expected and verdicts.only_classifier_drops > 5
    assert {example.reason for example in audit.disagreements} >= {"classifier"}
    assert "classifier" in [step.step for step in audit.funnel]
    assert any(example.reason == "classifier" and example.limit for example in audit.examples)


def test_without_a_classifier_nothing_is_said(folder):
    curate(corpus(folder), 0, folder / "plain", workers=1)
    audit = Audit.read(folder / "plain" / "audit.json")
    assert audit.classifier == audit.disagreements == []
    assert "classifier" not in [step.step for step in audit.funnel]
    assert all(np.isnan(row["classifier"]) for row in documents(folder / "plain"))


def test_sources_are_named_once_and_exist(folder):
    with pytest.raises(ValueError, match="'web' is named as positive and as negative"):
        ClassifierConfig(positive=("web",), negative=("web",))
    with pytest.raises((ValueError, InputError), match=r"classifier\.positive names 'boks', which is no source"):
        corpus(folder, classifier=ClassifierConfig(positive=("boks",), negative=("web",)))
