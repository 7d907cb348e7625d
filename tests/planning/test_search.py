"""One function says which layouts can run: what the search prints, ``--layout`` takes, in training and in plans."""

import pytest

from altiplano.errors import InputError
from altiplano.planning.plan import make_plan
from altiplano.planning.published.runs import known_runs
from altiplano.planning.search import KINDS
from altiplano.planning.stacks import load_stack, table
from altiplano.recipe.layout import check_layout, parse_layout
from altiplano.recipe.load import load_cluster, load_recipe

RAMP = ['batch.ramp=[{until = "1T", tokens = "4Mi"}]']


@pytest.mark.parametrize("stack", [name for name in table("stacks") if name != "altiplano-cpu"])
@pytest.mark.parametrize(
    ("recipe", "cluster", "precision", "overrides"),
    [  # a ramp begins with fewer sequences than FSDP alone has ranks
        ("llama-3.1-405b", "h100-2048", "", []),
        ("llama-3.1-405b", "h100-2048", "fp8", []),
        ("llama-3.1-405b", "h100-2048", "", RAMP),
        ("llama-3.1-8b", "h100-8", "", ["model.tie_word_embeddings=true"]),
    ],
)
def test_every_layout_that_is_printed_can_be_given(
    stack: str, recipe: str, cluster: str, precision: str, overrides: list[str]
) -> None:
    """Parsed again it passes training's check, and the plan of it has the same time and memory."""
    job, site = load_recipe(recipe, overrides), load_cluster(cluster)
    if overrides == RAMP and not load_stack(stack).parallelism:
        with pytest.raises(InputError, match="batches of 512 to 2,048 sequences"):
            make_plan(job, site, None, stack, precision=precision)
        return
    plan = make_plan(job, site, None, stack, precision=precision)
    assert plan.found is not None
    names = [str(choice.case.parallelism) for choice in plan.found.ties]
    assert len(set(names)) == len(names)
    for choice in plan.found.ties + plan.found.choices[:: max(1, len(plan.found.choices) // 40)]:
        layout = parse_layout(str(choice.case.parallelism))
        check_layout(layout, job, site.device)
        again = make_plan(job, site, layout, stack, precision=precision)
        assert again.seconds == pytest.approx(choice.seconds)
        assert again.fullest.total == pytest.approx(choice.memory.total)


@pytest.mark.parametrize("stack", ["llm-foundry", "fms-fsdp"])
def test_fsdp_stacks_have_data_parallelism_alone(stack: str) -> None:
    parallelism = make_plan(load_recipe("llama-3.1-405b"), load_cluster("h100-2048"), None, stack).case.parallelism
    assert (parallelism.tp, parallelism.pp, parallelism.cp) == (1, 1, 1)


def test_published_runs_have_no_parallelism_that_their_stack_has_not() -> None:
    for run in known_runs():
        for kind in KINDS:
            assert getattr(run.case.parallelism, kind) == 1 or kind in run.stack.parallelism, run.name


@pytest.mark.parametrize(
    ("layout", "stack", "message"),
    [
        ("dp16.tp8.pp8.cp2.v16.mb1", "nvidia-nemo", "leave one without layers"),
        ("dp32.tp8.pp8.mb1", "fms-fsdp", "has no tensor parallelism"),
        ("dp16.tp8.pp8.cp2.mb1", "megatron-2022", "has no context parallelism"),
        ("dp16.tp8.pp8.cp2.zbv.mb1", "nvidia-nemo", "has no schedule = zbv"),
        ("dp16.tp8.pp8.cp2.mb1.recompute-selective", "nvidia-nemo", "has no recompute = selective; it has none, full"),
        ("dp16.tp8.pp8.cp2.v5.mb1", "nvidia-nemo", "needs as many layers on every pipeline stage"),
        ("dp64.tp8.pp4.mb1.v2", "nvidia-nemo", ""),
    ],
)
def test_a_layout_that_the_stack_cannot_run_is_refused(layout: str, stack: str, message: str) -> None:
    recipe, cluster = load_recipe("llama-3.1-405b"), load_cluster("h100-2048")
    if not message:
        make_plan(recipe, cluster, parse_layout(layout), stack)
        return
    with pytest.raises(InputError, match=message):
        make_plan(recipe, cluster, parse_layout(layout), stack)


def test_every_stack_can_do_something() -> None:
    for name in table("stacks"):
        stack = load_stack(name)
        assert set(stack.parallelism) <= set(KINDS)
        assert "none" in stack.recomputes and "1f1b" in stack.schedules
