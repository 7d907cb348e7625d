"""The planner beside what we measured on one GPU: benchmarks/results/2026-11-26-gpu.jsonl."""

import json
from pathlib import Path

import pytest

from altiplano.planning.plan import make_plan
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe

MEASURED = Path(__file__).parents[2] / "benchmarks/results/2026-11-26-gpu.jsonl"
SHAPES = {
    "1B": (16, 2048, 8192, "true"),
    "8B slice": (12, 4096, 14_336, "false"),
}


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("train 8B slice: altiplano, compiled", 0.05),
        ("train 1B: altiplano", 0.12),
        ("train 1B: altiplano, compiled", 0.20),  # products with matrices 2,048 wide are faster than planned
    ],
)
def test_a_step_takes_about_as_long_as_planned(case: str, error: float) -> None:
    measured = [one for one in map(json.loads, MEASURED.read_text().splitlines()) if one["case"] == case][-1]
    layers, width, intermediate, tied = SHAPES[case.removeprefix("train ").partition(":")[0]]
    recipe = load_recipe(
        "llama-3.1-8b",
        [
            f"model.num_hidden_layers={layers}",
            f"model.hidden_size={width}",
            f"model.intermediate_size={intermediate}",
            f"model.tie_word_embeddings={tied}",
            "batch.sequence_length=8192",
            "batch.tokens=32768",
            "batch.total_tokens=32768000",
            "optimizer.warmup_steps=0",
        ],
    )
    cluster = Cluster(name="one", device="cuda", memory=141, chip="h200", watts_per_device=700)
    plan = make_plan(recipe, cluster, parse_layout("dp1.mb1"), "altiplano")
    assert plan.case.shape.parameters == measured["parameters"]
    assert plan.seconds == pytest.approx(measured["step_seconds"], rel=error)
    assert plan.seconds >= measured["step_seconds"], "planned as slower, if anything"
