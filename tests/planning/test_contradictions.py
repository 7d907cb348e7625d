"""What a recipe states against what it implies: the source recipe's twelve, made-up ones, and none where all agrees."""

import math

import pytest

from altiplano.planning.contradictions import contradictions
from altiplano.planning.edits import consistent, smallest_edits, solved
from altiplano.planning.finding import Finding, planned_rate
from altiplano.planning.plan import Plan, make_plan
from altiplano.recipe.load import load_cluster, load_recipe


@pytest.fixture(scope="module")
def source() -> Plan:
    return make_plan(load_recipe("llama-3.1-405b"), load_cluster("h100-2048"))


@pytest.fixture(scope="module")
def found(source: Plan) -> dict[str, Finding]:
    return {one.key: one for one in contradictions(source)}


def test_the_source_recipe_has_its_twelve(found: dict[str, Finding]) -> None:
    verdicts = {key: one.verdict for key, one in found.items()}
    assert verdicts == {
        "time": "impossible",
        "batch": "impossible",
        "device-hours": "inconsistent",
        "tokens": "inconsistent",
        "speed": "inconsistent",
        "energy": "inconsistent",
        "checkpoints": "inconsistent",
        "duration": "inconsistent",
        "parameters": "unusual",
        "memory": "unusual",
        "learning-rate": "unusual",
        "devices": "unusual",
    }


def test_device_hours(found: dict[str, Finding]) -> None:
    """2,048 × 4 × 730.5 h = 5.98M, not 50M: 8.4 times; 50M take 2.79 years, or 17,112 devices."""
    one = found["device-hours"]
    assert one.implied == pytest.approx(2048 * 4 * 730.5)
    assert one.factor == pytest.approx(8.36, abs=0.01)
    assert "2.79 years" in one.text and "17,112 devices" in one.text


def test_time_is_beyond_the_hardware(found: dict[str, Finding]) -> None:
    """By hand: 15e12 × 2.5240e12 FLOP / (2,048 × 4 × 730.5 × 3,600 s) = 1,757 TFLOP/s, 178 % of 989."""
    one = found["time"]
    assert one.implied == pytest.approx(15e12 * 2.5240e12 / (2048 * 4 * 730.5 * 3600), rel=1e-3)
    assert one.implied > 989e12
    assert "178% of the peak" in one.text


def test_dollars_were_perhaps_meant(found: dict[str, Finding]) -> None:
    assert "perhaps dollars are meant" in found["speed"].text


def test_the_batch_is_not_whole(found: dict[str, Finding]) -> None:
    assert "1,953.125 sequences" in found["batch"].text
    assert "2,048 sequences are 16,777,216" in found["batch"].text


def test_edits_are_minimal_and_work(source: Plan) -> None:
    edits = [edit.changes for edit in smallest_edits(source)]
    sets = [set(edit) for edit in edits]
    assert (
        {"months", "device_hours"} in sets
        and {"devices", "device_hours"} in sets
        and {"tokens", "device_hours"} in sets
    )
    assert not any(a < b for a in sets for b in sets)
    stated = {"devices": 2048.0, "months": 4.0, "device_hours": 50e6, "tokens": 15e12}
    rate, flops = planned_rate(source) * source.best_ettr, source.case.shape.training_flops_per_token(8192)
    assert not consistent(stated, rate, flops)
    for edit in edits:
        assert consistent({**stated, **edit}, rate, flops)
        assert not any(consistent({**stated, name: value}, rate, flops) for name, value in edit.items())


def test_an_equation_is_solved_both_ways() -> None:
    stated = {"devices": 100.0, "months": 2.0, "device_hours": 1.0, "tokens": 1e9}
    assert solved(stated, ("device_hours",), 1e12, 1e9) == {"device_hours": pytest.approx(100 * 2 * 730.5)}
    assert solved(stated, ("months", "devices"), 1e12, 1e9) == {}


def test_a_recipe_that_agrees_has_none() -> None:
    """8B on 8 GPUs with what the plan itself says: nothing to complain about but what nobody does."""
    recipe, cluster = (
        load_recipe(
            "llama-3.1-8b",
            [
                "batch.tokens=1Mi",
                "batch.total_tokens=1T",
                "optimizer.warmup_steps=2000",
                "checkpoint.interval_steps=50",
            ],
        ),
        load_cluster("h100-8"),
    )
    plan = make_plan(recipe, cluster)
    bill = plan.bill(plan.best_ettr)
    said = {"devices": 8, "months": bill.days / 30.4375, "device_hours": round(bill.device_hours)}
    honest = recipe.model_copy(update={"disclosure": recipe.disclosure.model_copy(update=said)})
    plan = make_plan(honest, cluster)
    assert [one.key for one in contradictions(plan) if one.verdict != "unusual"] == []
    assert smallest_edits(plan) == []


@pytest.mark.parametrize(
    ("key", "factor", "expected"), [("months", 3.0, "device-hours"), ("device_hours", 0.1, "speed")]
)
def test_one_wrong_fact_is_found(key: str, factor: float, expected: str) -> None:
    recipe, cluster = load_recipe("llama-3.1-8b", ["batch.tokens=1Mi", "batch.total_tokens=1T"]), load_cluster("h100-8")
    bill = make_plan(recipe, cluster).bill(0.97)
    said = {"devices": 8, "months": bill.days / 30.4375, "device_hours": round(bill.device_hours)}
    said[key] = math.ceil(said[key] * factor) if key == "device_hours" else said[key] * factor
    wrong = recipe.model_copy(update={"disclosure": recipe.disclosure.model_copy(update=said)})
    plan = make_plan(wrong, cluster)
    found = {one.key: one.verdict for one in contradictions(plan)}
    assert found[expected] in ("inconsistent", "impossible")
    assert {key} in [set(edit.changes) for edit in smallest_edits(plan)]


def test_a_laptop_says_nothing_about_the_time_of_2048_gpus() -> None:
    plan = make_plan(load_recipe("llama-3.1-405b"), load_cluster("laptop"))
    found = {one.key for one in contradictions(plan)}
    assert not found & {"time", "tokens", "speed"}
    assert {"device-hours", "batch"} <= found
    assert smallest_edits(plan) == []
