"""The planner's counts against the real training code: under a fake process group, and pipelines over gloo."""

import json
from collections import Counter
from pathlib import Path

import forked
import pytest

from altiplano.planning.counts import collectives, parameters_on_rank, state_bytes
from altiplano.planning.model_size import parameters
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe

SHAPE = [
    "model.num_hidden_layers=6",
    "model.hidden_size=64",
    "model.num_attention_heads=8",
    "model.num_key_value_heads=4",
    "model.intermediate_size=160",
    "model.vocab_size=1024",
    "batch.sequence_length=64",
    "batch.tokens=1Ki",
    "batch.total_tokens=100K",
]
FLOAT8 = "precision.matmul=float8-rowwise"


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("dp4.rep2.mb2", []),
        ("dp2.cp2.tp2.mb2.recompute-full", []),
        ("pp2.tp2.mb2", []),
        ("pp2.v2.mb2.recompute-full", []),
        ("tp2.mb4.hc2", [FLOAT8]),
        pytest.param("tp2.mb2.recompute-selective", [FLOAT8], marks=pytest.mark.slow),
    ],
)
def test_parameters_and_collectives_are_exact(text: str, more: list[str], tmp_path: Path) -> None:
    if more:
        pytest.importorskip("torchao")
    output = forked.run("planning.count_step", text, *SHAPE, *more, output=tmp_path / "output")
    counted = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    recipe, layout = load_recipe("quickstart", [*SHAPE, *more]), parse_layout(text)
    assert sorted(one["rank"] for one in counted) == list(range(layout.pp))
    for one in counted:
        assert parameters_on_rank(recipe, layout, one["rank"]) == one["parameters"]
        planned: Counter[tuple[str, str, int]] = Counter()
        for planned_one in collectives(recipe, layout, one["rank"]):
            planned[planned_one.kind, planned_one.group, planned_one.size] += planned_one.count
        real = Counter({(kind, group, size): count for kind, group, size, count in one["collectives"]})
        assert planned == real


def test_all_ranks_hold_the_whole_model_once() -> None:
    recipe = load_recipe("llama-3.1-405b")
    for text in ("dp16.tp8.pp16.mb1", "dp16.tp8.pp8.cp2.v8.mb1"):
        layout = parse_layout(text)
        held = sum(parameters_on_rank(recipe, layout, rank) for rank in range(layout.pp))
        norms = (2 * recipe.model.num_hidden_layers + 1) * recipe.model.hidden_size // (layout.dp * layout.cp)
        assert (
            held * layout.dp * layout.cp * layout.tp
            == parameters(recipe.model) + norms * (layout.tp - 1) * layout.dp * layout.cp
        )
        assert state_bytes(recipe, layout, 0) == 16 * parameters_on_rank(recipe, layout, 0)


def test_a_pipeline_sends_every_micro_batch_both_ways() -> None:
    recipe = load_recipe("llama-3.1-405b")
    layout = parse_layout("dp16.tp8.pp16.mb1")
    count, _ = layout.micro_batches(recipe.batch.sequences, recipe.batch.sequence_length)
    ends = [sum(one.count for one in collectives(recipe, layout, rank) if one.group == "pp") for rank in (0, 7, 15)]
    assert ends == [2 * count, 4 * count, 2 * count]
