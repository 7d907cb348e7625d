"""What a recipe states against what it implies: the source recipe's eleven, made-up ones, and none where all agrees."""

import math

import pytest

from altiplano.planning.consistency.claims import Finding, rounded, sustained_rate
from altiplano.planning.consistency.contradictions import contradictions
from altiplano.planning.consistency.edits import consistent, smallest_edits, solved
from altiplano.planning.plan import Plan, make_plan
from altiplano.recipe.load import load_cluster, load_recipe


@pytest.fixture(scope="module")
def source() -> Plan:
    return make_plan(load_recipe("llama-3.1-405b"), load_cluster("h100-2048"))


@pytest.fixture(scope="module")
def found(source: Plan) -> dict[str, Finding]:
    return {one.key: one for one in contradictions(source)}


def test_the_source_recipe_has_its_eleven(found: dict[str, Finding]) -> None:
    verdicts = {key: one.verdict for key, one in found.items()}
    assert verdicts == {
        "time": "impossible",
        "batch": "rounded",
        "device-hours": "inconsistent",
        "tokens": "inconsistent",
        "speed": "inconsistent",
        "energy": "unusual",
        "checkpoints": "inconsistent",
        "duration": "inconsistent",
        "parameters": "rounded",
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
    assert f"{15e12 * 2.5240e12 / (2048 * 4 * 730.5 * 3600) / 1e12:,.0f} TFLOP/s" in one.text
    assert "178% of the peak" in one.text
    assert (one.quantity, one.stated) == ("months", 4)
    assert one.implied == pytest.approx(21.3, abs=0.1)


def test_what_is_called_stated_is_stated(source: Plan, found: dict[str, Finding]) -> None:
    said = source.recipe.disclosure
    facts = {said.devices, said.months, said.device_hours, said.tokens, said.batch_tokens, said.parameters}
    facts |= {source.recipe.optimizer.learning_rate, source.recipe.checkpoint.interval_steps, 4 * 30.44}
    assert {one.stated for one in found.values()} <= facts


def test_dollars_were_perhaps_meant(found: dict[str, Finding]) -> None:
    assert "perhaps dollars are meant" in found["speed"].text


def test_the_batch_is_not_whole(found: dict[str, Finding]) -> None:
    assert "1,953.125 sequences" in found["batch"].text
    assert "2,048 sequences, which are 16,777,216" in found["batch"].text


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
    rate, flops = sustained_rate(source), source.case.shape.training_flops_per_token(8192)
    assert not consistent(stated, rate, flops)
    for edit in edits:
        assert consistent({**stated, **edit}, rate, flops, more_hours=True)
        assert len(edit) == 1 or not any(
            consistent({**stated, name: value}, rate, flops, more_hours=True) for name, value in edit.items()
        )
        assert all(value == round(value, 2) for value in edit.values())


@pytest.mark.parametrize("stack", ["nvidia-nemo", "altiplano", "meta-llama3"])
def test_no_remedy_is_itself_rejected(stack: str) -> None:
    recipe, cluster = load_recipe("llama-3.1-405b"), load_cluster("h100-2048")
    edits = smallest_edits(make_plan(recipe, cluster, None, stack))
    assert edits
    for edit in edits:
        said = {name: round(value) if name != "months" else value for name, value in edit.changes.items()}
        mended = recipe.model_copy(update={"disclosure": recipe.disclosure.model_copy(update=said)})
        plan = make_plan(mended, cluster, None, stack)
        wrong = {one.key for one in contradictions(plan) if one.verdict in ("impossible", "inconsistent")}
        assert wrong <= {"checkpoints", "duration", "memory"}, edit
        assert smallest_edits(plan) == []


@pytest.mark.parametrize(
    ("hours", "agrees"), [('">5M"', True), ('"5.98M"', True), ('">50M"', False), ('"4M"', False), ('"> 4M"', True)]
)
def test_more_than_is_a_lower_bound(hours: str, agrees: bool) -> None:
    """2,048 devices for 4 months are 5.98M device-hours, which exceed 5M and do not exceed 50M."""
    recipe = load_recipe("llama-3.1-405b", [f"disclosure.device_hours={hours}"])
    found = {one.key for one in contradictions(make_plan(recipe, load_cluster("h100-2048")))}
    assert ("device-hours" not in found) == agrees
    assert recipe.disclosure.more_device_hours == (">" in hours)


@pytest.mark.parametrize(
    ("stated", "exact", "same"),
    [
        (16e6, 2**24, True),
        (405e9, 405_853_388_800, True),
        (16_000_001, 2**24, False),
        (400e9, 405_853_388_800, True),
        (404e9, 405_853_388_800, False),
        (10e6, 2**24, False),
        (8e9, 8_030_261_248, True),
    ],
)
def test_what_is_rounded(stated: float, exact: float, same: bool) -> None:
    assert rounded(stated, exact) == same


def test_a_batch_that_is_given_to_the_token_and_not_whole_is_impossible() -> None:
    recipe = load_recipe("llama-3.1-405b", ["disclosure.batch_tokens=16000001"])
    found = {one.key: one.verdict for one in contradictions(make_plan(recipe, load_cluster("h100-2048")))}
    assert found["batch"] == "impossible"


def test_hours_of_h100_say_nothing_about_gb200() -> None:
    cluster = load_cluster("h100-2048").model_copy(update={"chip": "gb200", "memory": 0.0})
    plan = make_plan(load_recipe("llama-3.1-405b"), cluster)
    assert not {one.key for one in contradictions(plan)} & {"time", "tokens", "speed", "energy"}
    assert smallest_edits(plan) == []


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
    bill = plan.bill(plan.ettr)
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
