"""The clusters that are shipped: the recipe that each says it is laid out for fits, with room to spare."""

import re
from pathlib import Path

import pytest

from altiplano.planning.memory import GIB, capacity
from altiplano.planning.plan import make_plan
from altiplano.planning.search import TIGHT
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.trainings import check_layouts, layout_of, trainings

FOLDER = Path(__file__).parents[2] / "clusters"
LAID_OUT = {
    path.stem: found[1]
    for path in sorted(FOLDER.glob("*.toml"))
    if (found := re.search(r"laid out for ([a-z0-9.-]+[a-z0-9])", path.read_text().splitlines()[0]))
}


def test_the_sizes_that_are_promised_are_there():
    assert {"h100-8", "h100-64", "h100-512", "h100-2048", "h100-16384", "h200-2048", "b200-2048"} == LAID_OUT.keys()


@pytest.mark.parametrize("name", LAID_OUT)
def test_the_layout_fits_its_recipe_with_room_to_spare(name):
    recipe, cluster = load_recipe(LAID_OUT[name]), load_cluster(name)
    plan = make_plan(recipe, cluster, cluster.layout, "altiplano")
    assert cluster.layout.world_size == cluster.devices
    assert plan.fullest.total + 5 * GIB < capacity(plan.chip)
    if LAID_OUT[name] == "llama-3.1-405b" and name.startswith("h100"):
        # Llama 3 itself: 163.8 tokens a second and GPU (arXiv 2407.21783: 400 TFLOP/s at 8,192 GPUs).
        assert recipe.batch.tokens / plan.step.total / cluster.devices > (165 if cluster.devices <= 2048 else 150)


@pytest.mark.parametrize("name", LAID_OUT)
def test_so_do_its_phases(name):
    recipe, cluster = load_recipe(f"{LAID_OUT[name]}-128k"), load_cluster(name)
    check_layouts(cluster.layout, recipe, cluster, cluster.device)
    phases = trainings(recipe)[1:]
    assert {recipe.name: [one.phase for one in phases]} == {of: [*own] for of, own in cluster.layouts.items()}
    for training in phases:
        layout = layout_of(training, cluster, cluster.layout)
        plan = make_plan(training.recipe, cluster, layout, "altiplano")
        assert layout.world_size == cluster.devices
        assert plan.fullest.total < TIGHT * capacity(plan.chip)
