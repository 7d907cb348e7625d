"""The plan of a corpus: its arithmetic by hand, its constants against the code they describe, yields of a real run."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.cli import run
from altiplano.corpus.deduplication import edges
from altiplano.corpus.deduplication.clusters import CLUSTER
from altiplano.errors import InputError
from altiplano.planning.curation import curation_plan
from altiplano.planning.curation.curation_plan import corpus_json, corpus_text, plan_corpus, shares
from altiplano.planning.curation.measured_rates import COMMON_CRAWL, Rates, Yield, recorded, yields_of_run
from altiplano.recipe.batch import MixturePhase
from altiplano.recipe.load import load_recipe
from altiplano.records import (
    Audit,
    CurationCounts,
    DroppedGroup,
    KeptGroup,
    ShardCounts,
    ShardEntry,
    ShardList,
    StageManifest,
)
from altiplano.records.corpus import TextAmount
from altiplano.storage import write_json
from altiplano.tokens.shards import token_dtype

SIMPLE = Yield(
    disk_bytes=100, raw_bytes=1000, text_bytes=200, documents=10, copies=2, kept_documents=5, kept_bytes=100, tokens=25
)
RATES = Rates(
    "by hand",
    {"quality": {"reference": 3.0, "code": 1.0}, "hybrid": {"reference": 2.0, "code": 1.0}},
    {"annotation": 5.0, "fingerprints": 0.5},
    per_token=0.25,
    models=7.0,
    parent_per_document={"write_edges": 0.007, "_tally": 0.003},
    annotated=0.3,
    published=0.4,
    yields={"reference": SIMPLE, "code": SIMPLE},
)


def small_recipe(**changes):
    recipe = load_recipe("small")
    sources = tuple(source for source in recipe.corpus.sources if source.domain in ("reference", "code"))
    only = recipe.corpus.model_copy(update={"sources": sources})
    return recipe.model_copy(update={"corpus": only, **changes})


def tokens(recipe, total):
    return recipe.model_copy(update={"batch": recipe.batch.model_copy(update={"total_tokens": total})})


def test_the_arithmetic_by_hand() -> None:
    """One domain, 50 tokens: twice what SIMPLE is."""
    whole = small_recipe()
    corpus_of_one = whole.corpus.model_copy(update={"sources": whole.corpus.sources[:1]})
    recipe = tokens(small_recipe(corpus=corpus_of_one), 50)
    plan = plan_corpus(recipe, RATES, cores=2)
    (one,) = plan.amounts
    assert (one.disk, one.raw, one.text, one.documents, one.kept_text) == (200, 2000, 400, 20, 200)
    assert plan.core_seconds == {
        "reading and extraction": 6000,
        "annotation": 2000,
        "fingerprints": 200,
        "perplexity models": 7,
        "tokenise": 12.5,
    }
    assert plan.core_hours == pytest.approx(8219.5 / 3600)
    assert plan.hours == pytest.approx((8219.5 / 2 + 0.2) / 3600)
    assert plan.parent_seconds == {"write_edges": pytest.approx(0.14), "_tally": pytest.approx(0.06)}
    assert "its parent process: 0.0033 minutes, 70% of it after comparing keys (clusters)" in corpus_text(plan)
    assert plan.parent_memory == 2 * 4 * 100
    # 14 bands, the text, the address; 112 hashes of 4 bytes
    assert plan.storage["fingerprints and scores, until published"] == 20 * (16 * 16 + 448 + 8)
    assert plan.moved["shuffled keys"] == 2 * 20 * 16 * 16
    assert plan.storage["tokens"] == 50 * 2 and plan.storage["raw"] == 200


@given(st.integers(10**6, 10**13), st.integers(2, 1000))
def test_twice_the_tokens_take_twice_of_everything_that_is_spread(total: int, times: int) -> None:
    once, more = (plan_corpus(tokens(small_recipe(), total * n), recorded()) for n in (1, times))
    for step in ("reading and extraction", "annotation", "tokenise"):
        assert more.core_seconds[step] == pytest.approx(times * once.core_seconds[step])
    for sides in ("storage", "moved"):
        for name, size in getattr(once, sides).items():
            assert getattr(more, sides)[name] == pytest.approx(times * size)
    assert more.hours > once.hours


def test_constants_are_those_of_the_code() -> None:
    assert edges.RANGE_KEYS == curation_plan.RANGE_KEYS
    assert np.zeros((2, 1), np.uint64).nbytes == curation_plan.KEY
    assert np.uint32().nbytes == curation_plan.HASH
    assert {
        small: np.dtype(token_dtype(65536 if small else 128256)).itemsize for small in (True, False)
    } == curation_plan.TOKEN
    # what clusters.py holds at once for a copy: a record, and an edge with its sorting
    assert CLUSTER.itemsize + 2 * 16 <= curation_plan.COPY


def test_the_source_recipe() -> None:
    """15T tokens: more than one crawl, every domain, and the pages of a crawl yield what FineWeb's do."""
    plan = plan_corpus(load_recipe("llama-3.1-405b"), recorded())
    assert plan.total("tokens") == pytest.approx(15e12)
    web = next(one for one in plan.amounts if one.domain == "web")
    assert web.tokens / web.raw == pytest.approx(COMMON_CRAWL) and web.origin == "FineWeb"
    assert plan.runs == pytest.approx(0.58 * 96, abs=1)
    assert plan.storage["tokens"] == pytest.approx(60e12)
    text = corpus_text(plan)
    assert "15T tokens" in text and "core-hours" in text and max(map(len, text.splitlines())) < 140
    assert json.loads(json.dumps(corpus_json(plan)))["core_hours"] == pytest.approx(plan.core_hours)


def test_hybrid_extraction_costs_less() -> None:
    recipe = load_recipe("llama-3.1-405b")
    hybrid = load_recipe("llama-3.1-405b", ["corpus.extraction.html=hybrid"])
    step = "reading and extraction"
    one, other = (plan_corpus(each, recorded()).core_seconds[step] for each in (recipe, hybrid))
    assert other < 0.8 * one


def test_shares_are_the_recipes_or_the_runs_or_assumed() -> None:
    assert shares(small_recipe(), {"reference": SIMPLE, "code": SIMPLE}) == {"reference": 0.5, "code": 0.5}
    assumed = shares(small_recipe(), {})
    assert assumed["code"] == pytest.approx(0.17 / (0.17 + 0.125)) and sum(assumed.values()) == pytest.approx(1)
    phases = (
        MixturePhase(weights={"reference.en": 3, "code": 1}),
        MixturePhase(from_tokens=75, weights={"code": 1}),
        MixturePhase(from_tokens=200, weights={"reference": 1}),
    )
    mixed = tokens(small_recipe(mixture=phases), 100)
    # three quarters of the run at 3 : 1, the last quarter code alone
    assert shares(mixed, {}) == pytest.approx({"reference": 0.75 * 0.75, "code": 0.75 * 0.25 + 0.25})


def test_yields_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "curate").mkdir()
    (tmp_path / "tokenize").mkdir()
    kept = KeptGroup(domain="web", language="en", split="train", documents=3, bytes=60)
    dropped = DroppedGroup(domain="web", language="en", reason="near duplicate", documents=1, bytes=20)
    raw = TextAmount(documents=4, bytes=1000)
    Audit(raw=raw, funnel=[], kept=[kept], dropped=[dropped]).write(tmp_path / "curate/audit.json")
    counts = [ShardCounts(source="crawl", documents=2, bytes=size) for size in (900, 100)]
    CurationCounts(counts).write(tmp_path / "curate/counts.json")
    sources = {"corpus": {"sources": [{"name": "crawl", "domain": "web"}]}}
    StageManifest(stage="curate", version="1", recipe=sources, inputs={}, outputs={}, counts={}, hash="00").write(
        tmp_path / "curate/manifest.json"
    )
    write_json(tmp_path / "curate/inputs.json", {"sources": {"crawl": [{"path": "a", "size": 250}]}})
    shard = ShardEntry(path="x", split="train", domain="web", language="en", documents=3, tokens=15, bytes=60)
    ShardList(vocabulary=9, dtype="uint16", shards=[shard]).write(tmp_path / "tokenize/shards.json")
    found = yields_of_run(tmp_path)
    values = [getattr(found["web"], field.name) for field in fields(Yield)]
    assert values == [250, 1000, 80, 4, 1, 3, 60, 15, "this run"]
    (tmp_path / "tokenize/shards.json").unlink()
    with pytest.raises(InputError, match="has finished curate and tokenize"):
        yields_of_run(tmp_path)


def test_mistakes() -> None:
    with pytest.raises(InputError, match="--cores 0"):
        plan_corpus(small_recipe(), RATES, cores=0)
    with pytest.raises(InputError, match="no yield is known for the domain web: give --from RUN"):
        plan_corpus(load_recipe("small"), RATES)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["plan", "llama-3.1-405b", "--stage", "corpus", "--cores", "100"]
    assert run(arguments) == 0
    assert "on 100 cores" in capsys.readouterr().out
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cores"] == 100
    assert run([*arguments, "--from", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
