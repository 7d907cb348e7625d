"""The plan beside a measured run."""

import pytest

from altiplano.planning.beside import planned_speed
from altiplano.planning.plan import make_plan
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.release.fact_table import fact_rows
from altiplano.release.facts import RunFacts


def test_a_faster_processor_is_planned_to_be_faster() -> None:
    recipe, cluster = load_recipe("quickstart"), load_cluster("laptop")
    speeds = [planned_speed(recipe, cluster, "dp1.tp1.pp1", peak) for peak in (0.5e12, 0.94e12, 2e12)]
    assert all(speed is not None for speed in speeds)
    assert speeds == sorted(speeds, key=float)  # type: ignore[arg-type]
    plan = make_plan(recipe, cluster, Layout())
    assert speeds[1] == pytest.approx(recipe.batch.tokens / plan.seconds, rel=1e-6)


def test_without_a_chip_or_a_layout_nothing_was_planned() -> None:
    recipe, cluster = load_recipe("quickstart"), load_cluster("laptop")
    assert planned_speed(recipe, cluster.model_copy(update={"chip": ""}), "dp1", 1e12) is None
    assert planned_speed(recipe, cluster.model_copy(update={"chip": "no such"}), "dp1", 1e12) is None
    assert planned_speed(recipe, cluster, "", 1e12) is None


def test_the_report_prints_both() -> None:
    """40 % of 1e12 FLOP/s at 2e7 FLOP a token are 20,000 tokens a second."""
    facts = RunFacts("r", mfu=0.4, peak_flops_per_device=1e12, flops_per_token=2e7, planned_tokens_per_second=21_000.0)
    (row,) = [row for row in fact_rows(facts) if row.what.startswith("Tokens per second")]
    assert row.measured == "20,000; planned 21,000 (+5%)"
