"""What the plan says first, and how sure it says it is."""

import json
import re

import pytest

from altiplano.cli import run
from altiplano.planning.plan import UNSEEN, make_plan
from altiplano.planning.stacks import load_chip
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.units import figure

PLANS = [
    ["llama-3.1-405b", "--cluster", "h100-2048"],
    ["llama-3.1-405b", "--cluster", "h100-2048", "--precision", "fp8", "--stack", "altiplano"],
    ["llama-3.1-70b", "--cluster", "h100-2048", "--compare", "llama-3.1-8b"],
    ["llama-3.1-8b", "--cluster", "h100-8"],
    ["llama-3.1-8b", "--cluster", "h100-8", "--precision", "fp32"],
    ["llama-3.1-405b"],
    ["small"],
]


@pytest.mark.parametrize("arguments", PLANS)
def test_lines_and_numbers_can_be_read(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No line is wider than a terminal, no number is written as Python writes it."""
    run(["plan", *arguments])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    assert not re.search(r"\de[+-]0|\de\+|\d\.\d{6,}", text)
    run(["plan", *arguments, "--json"])
    for plan in ensure_list(json.loads(capsys.readouterr().out)):
        assert len(set(plan["layout"]["ties"])) == len(plan["layout"]["ties"])
        for edit in plan["edits"]:
            assert all(value == round(value, 2) for value in edit["changes"].values())


def ensure_list(value: object) -> list[dict[str, dict[str, list[str]]]]:
    return value if isinstance(value, list) else [value]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("value", "text"), [(6330.4, "6,330"), (8e-05, "8e-5"), (3.79e25, "3.79e25"), (0.412, "0.412"), (1120.0, "1,120")]
)
def test_figures(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("recipe", "cluster", "published"),
    [
        ("llama-3.1-405b", "h100-2048", 30.84e6),
        ("llama-3.1-70b", "h100-2048", 7.0e6),
        ("llama-3.1-8b", "h100-8", 1.46e6),
    ],
)
def test_the_recipe_as_written_comes_first_and_beside_it_what_was_published(
    recipe: str, cluster: str, published: float, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan(load_recipe(recipe), load_cluster(cluster))
    run(["plan", recipe, "--cluster", cluster, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["practice"]["device_hours"] == published
    run(["plan", recipe, "--cluster", cluster])
    shown = capsys.readouterr().out
    written = plan.bill(plan.ettr)
    first, *others = shown.splitlines()
    assert f"{written.device_hours / 1e6:.3g}M" in first or f"{written.device_hours / 1e3:.3g}k" in first
    assert f"published: {published / 1e6:.3g}M" in first
    assert any(line.startswith(f"Practice   {recipe} took") for line in others)


def test_the_interval_is_of_a_step_in_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    run(["plan", "llama-3.1-405b", "--cluster", "h100-2048"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "± 8%, of a step in a short benchmark: 76 published runs of nvidia-nemo on h100 in bf16" in shown


@pytest.mark.parametrize(
    ("chip", "stack", "precision"),
    [
        ("a100", "nvidia-nemo", ""),
        ("h200", "nvidia-nemo", ""),
        ("h100", "nvidia-nemo", "fp32"),
        ("h200", "maxtext", ""),
    ],
)
def test_without_published_runs_the_interval_is_wide_and_says_so(
    chip: str, stack: str, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from altiplano.planning.output.table import first_screen

    cluster = load_cluster("h100-2048").model_copy(update={"chip": chip, "memory": 0.0})
    plan = make_plan(load_recipe("llama-3.1-8b"), cluster, None, stack, precision=precision)
    assert plan.uncertainty >= UNSEEN and plan.compared == 0
    screen = " ".join(first_screen(plan, [], []).split())
    assert f"a guess: no published run of {stack} on {chip}" in screen
    assert plan.found is not None and plan.found.best.published == ""


def test_our_own_trainer_was_measured_on_one_gpu_alone() -> None:
    from altiplano.planning.output.table import first_screen

    for recipe, cluster in (("llama-3.1-405b", "h100-2048"), ("llama-3.1-8b", "h100-8")):
        plan = make_plan(load_recipe(recipe), load_cluster(cluster), None, "altiplano")
        screen = " ".join(first_screen(plan, [], []).split())
        assert "measured" not in screen and "altiplano was run on one GPU, never on several" in screen


def test_runs_of_another_precision_or_stack_measured_nothing() -> None:
    recipe, cluster = load_recipe("llama-3.1-405b"), load_cluster("h100-2048")
    for stack, precision in (("meta-llama3", "fp8"), ("torchtitan-bf16", ""), ("megatron", "")):
        plan = make_plan(recipe, cluster, None, stack, precision=precision)
        assert plan.found is not None
        assert not any(choice.published for choice in plan.found.choices)


@pytest.mark.parametrize("recipe", ["llama-3.1-405b", "llama-3.1-70b", "llama-3.1-8b"])
@pytest.mark.parametrize("devices", [512, 2048, 8192])
def test_copies_in_memory_are_not_worse_than_none(recipe: str, devices: int) -> None:
    plan = make_plan(load_recipe(recipe, ["batch.tokens=64Mi"]), load_cluster("h100-2048"), None, "", devices)
    steps, forward = plan.tiered
    assert forward >= plan.best_ettr
    assert 1 <= steps <= plan.best_steps


def test_fp32_is_not_tf32() -> None:
    """H100: 67 TFLOP/s of float32, 495 of TF32 on the tensor cores, which no stack turns on."""
    for name in ("h100", "h200", "a100", "a100-40gb", "b200", "gb200", "gb300", "h100-500w"):
        chip = load_chip(name)
        assert chip.peak("fp32") < 0.08 * chip.peak("bf16")
    plan = make_plan(load_recipe("llama-3.1-8b"), load_cluster("h100-8"), precision="fp32")
    rate = plan.case.batch_tokens / plan.seconds / 8 * plan.case.shape.training_flops_per_token(8192)
    assert rate < 66.9e12


def test_energy_of_the_chips_is_without_the_site() -> None:
    """19.7M device-hours × 700 W are 13.8 GWh in the chips; × 1,275 W × 1.1 at the site."""
    bill = make_plan(load_recipe("llama-3.1-405b"), load_cluster("h100-2048")).bill()
    assert bill.kwh_chips == pytest.approx(bill.device_hours * 0.7)
    assert bill.kwh_site == pytest.approx(bill.device_hours * 1.275 * 1.1)
