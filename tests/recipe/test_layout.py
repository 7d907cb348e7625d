import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.errors import InputError
from altiplano.recipe.layout import Layout, check_layout, parse_layout, pipeline_slots
from altiplano.recipe.load import load_cluster, load_recipe


def test_spelling() -> None:
    assert parse_layout("dp2.tp2.pp2") == Layout(dp=2, tp=2, pp=2)
    assert parse_layout("tp4.mb2") == Layout(tp=4, micro_batch=2)
    assert str(parse_layout("pp2")) == "dp1.tp1.pp2"


@pytest.mark.parametrize("text", ["", "dp", "dp0", "dp2,tp2", "dp2.dp2", "xp2", "dp2.", "dp-1"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a part of a layout"):
        parse_layout(text)


def test_llama_405b_divides_into_sixteen_stages() -> None:
    sizes = [len(layers) for layers in pipeline_slots(126, 16)]
    assert sizes == [7, *[8] * 14, 7]


@given(st.integers(1, 130), st.integers(1, 16))
def test_stages_hold_every_layer_once(layers: int, stages: int) -> None:
    slots = pipeline_slots(layers, stages)
    assert [layer for stage in slots for layer in stage] == list(range(layers))
    with_ends = [len(stage) + (i == 0) + (i == stages - 1) for i, stage in enumerate(slots)]
    assert max(with_ends) - min(with_ends) <= 1


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("tp3", "tp = 3 does not divide model.kv_heads"),
        ("tp8", "tp = 8 does not divide model.kv_heads"),
        ("dp5", "dp = 5 does not divide the batch"),
        ("pp99", "is more than model.layers"),
        ("mb5", "mb = 5 does not divide"),
        ("dp16.pp4", "micro-batches cannot fill pp = 4"),
    ],
)
def test_layouts_that_do_not_fit_are_refused_with_the_reason(layout: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_layout(parse_layout(layout), load_recipe("quickstart", ["model.kv_heads=4", "batch.tokens=8Ki"]))


@pytest.mark.parametrize("layout", ["pp2", "tp2"])
def test_tied_embeddings_stay_on_one_rank(layout: str) -> None:
    with pytest.raises(InputError, match="tied_embeddings needs tp = 1 and pp = 1"):
        check_layout(parse_layout(layout), load_recipe("quickstart", ["model.tied_embeddings=true"]))


def test_the_source_recipe_fits_its_cluster() -> None:
    check_layout(load_cluster("h100-2048").layout, load_recipe("llama-3.1-405b"))
    assert load_cluster("h100-2048").layout.world_size == 2048


@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 4]), st.integers(1, 64))
def test_micro_batches_fill_the_pipeline(dp: int, pp: int, share: int) -> None:
    layout, sequences = Layout(dp=dp, pp=pp), dp * pp * share
    size = layout.micro_batch_size(sequences, 256)
    assert (sequences // dp) % size == 0
    assert sequences // dp // size >= pp
