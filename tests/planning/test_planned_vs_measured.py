"""The plan beside a measured run."""

import json

import pytest

from altiplano.planning.plan import make_plan
from altiplano.planning.planned_vs_measured import planned, saved_every
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.records import PlannedRun, RunFacts
from altiplano.report.fact_table import fact_rows


def test_a_faster_processor_is_planned_to_be_faster() -> None:
    recipe, cluster = load_recipe("quickstart"), load_cluster("laptop")
    plans = [planned(recipe, cluster, "dp1.tp1.pp1", peak) for peak in (0.5e12, 0.94e12, 2e12)]
    speeds = [one.tokens_per_second for one in plans if one is not None]
    assert len(speeds) == 3
    assert speeds == sorted(speeds)
    plan = make_plan(recipe, cluster, Layout())
    assert speeds[1] == pytest.approx(recipe.batch.tokens / plan.seconds, rel=1e-6)
    assert plans[1] == PlannedRun(
        tokens_per_second=speeds[1], memory_bytes=plan.fullest.total, forward=1.0
    )  # nobody states how often this machine fails


def test_the_more_frequent_tier_of_checkpoints_counts() -> None:
    rules = load_recipe("quickstart").checkpoint.model_copy(
        update={"interval_steps": 2000, "rolling_steps": 0, "rolling_minutes": 0.0}
    )
    assert saved_every(rules, 2.0) == 4000
    assert saved_every(rules.model_copy(update={"rolling_steps": 100}), 2.0) == 200
    assert saved_every(rules.model_copy(update={"rolling_minutes": 1.0}), 2.0) == 60


def test_without_a_chip_or_a_layout_nothing_was_planned() -> None:
    recipe, cluster = load_recipe("quickstart"), load_cluster("laptop")
    assert planned(recipe, cluster.model_copy(update={"chip": ""}), "dp1", 1e12) is None
    assert planned(recipe, cluster.model_copy(update={"chip": "no such"}), "dp1", 1e12) is None
    assert planned(recipe, cluster, "", 1e12) is None


def test_the_report_prints_both() -> None:
    facts = RunFacts(
        name="r",
        tokens_per_second=20_000.0,
        memory_bytes=2**30,
        forward=0.71,
        forward_expected=0.73,
        planned=PlannedRun(tokens_per_second=21_000.0, memory_bytes=1.1 * 2**30, forward=1.0),
    )
    rows = {row.what.partition(",")[0]: row.measured for row in fact_rows(facts)}
    assert rows["Tokens per second"] == "20,000; planned 21,000 (+5%)"
    assert rows["Memory of the fullest process"] == "1.0 GiB; planned 1.1 GiB (+10%)"
    forward = "71.0%; planned 100.0% with rolling checkpoints; 73.0% expected of the faults that came"
    assert rows["Share of the time that was productive"] == forward
    older = {"planned_tokens_per_second": 21_000.0}  # a key of released models that this version has not got
    assert RunFacts.model_validate(json.loads(json.dumps(facts.as_json() | older))) == facts
