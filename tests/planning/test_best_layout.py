import pytest

from altiplano.errors import InputError
from altiplano.planning.best_layout import memory_needed, simplest_layout
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe

GIB = 2**30


def cluster(devices: int, memory: float) -> Cluster:
    return Cluster(name="made up", device="cuda", devices=devices, memory=memory, watts_per_device=1)


def test_one_device_needs_no_layout() -> None:
    assert simplest_layout(load_recipe("quickstart"), load_cluster("laptop")) == Layout()


def test_data_parallelism_alone_is_preferred() -> None:
    layout = simplest_layout(load_recipe("llama-3.1-8b"), load_cluster("h100-8"))
    assert (layout.dp, layout.tp, layout.pp) == (8, 1, 1)


def test_what_is_chosen_fits_and_uses_all_devices() -> None:
    recipe = load_recipe("llama-3.1-405b")
    for devices, memory in ((2048, 80.0), (2048, 40.0), (1024, 40.0)):
        layout = simplest_layout(recipe, cluster(devices, memory))
        assert layout.world_size == devices
        assert memory_needed(recipe, layout) <= 0.9 * memory * GIB


def test_less_memory_brings_in_recomputation_then_tensors() -> None:
    recipe, seen = load_recipe("llama-3.1-70b"), []
    for memory in (800.0, 400.0, 100.0, 32.0):
        layout = simplest_layout(recipe, cluster(256, memory))
        seen.append((layout.pp, layout.tp, ("none", "selective", "full").index(layout.recompute)))
    assert seen == sorted(seen)
    assert seen[0] == (1, 1, 0)
    assert seen[-1][1] > 1


def test_a_model_too_large_is_refused_with_the_least_it_needs() -> None:
    with pytest.raises(InputError, match="nothing fits 8 devices of 80 GiB; the least is about"):
        simplest_layout(load_recipe("llama-3.1-405b"), load_cluster("h100-8"))


def test_memory_must_be_known() -> None:
    with pytest.raises(InputError, match="does not say its memory"):
        simplest_layout(load_recipe("llama-3.1-8b"), cluster(8, 0))


def test_sharded_state_is_sixteen_bytes_a_parameter() -> None:
    """A hand count: 8,030,261,248 parameters at 16 bytes on 8 devices, and half of that on 16."""
    recipe = load_recipe("llama-3.1-8b")
    few, many = (memory_needed(recipe, Layout(dp=dp, micro_batch=1, recompute="full")) for dp in (8, 16))
    assert (few - many) / GIB == pytest.approx(8_030_261_248 * 16 * (1 / 8 - 1 / 16) / GIB, rel=1e-9)
