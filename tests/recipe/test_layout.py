from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.errors import InputError
from altiplano.recipe.layout import Layout, check_layout, parse_layout, partition_layers
from altiplano.recipe.load import load_cluster, load_recipe


def test_spelling() -> None:
    assert parse_layout("dp2.tp2.pp2") == Layout(dp=2, tp=2, pp=2)
    assert parse_layout("tp4.mb2") == Layout(tp=4, micro_batch=2)
    assert parse_layout("dp4.rep2.cp2.pp2.zbv") == Layout(dp=4, replicas=2, cp=2, pp=2, schedule="zbv")
    assert parse_layout("pp2.v3") == Layout(pp=2, virtual=3, schedule="interleaved")
    assert parse_layout("tp2.hc8") == Layout(tp=2, head_chunks=8)
    assert parse_layout("dp2.recompute-selective.compile") == Layout(dp=2, recompute="selective", compile=True)
    assert parse_layout("dp4.rep2.cp2.tp2.pp2").world_size == 32
    assert str(parse_layout("pp2")) == "dp1.tp1.pp2"


@pytest.mark.parametrize(
    "text",
    [
        "dp8.rep2.cp2.tp4.pp4.v2.mb1",
        "pp2.zbv.hc4.recompute-full",
        "pp4.gpipe",
        "pp2.interleaved",
        "dp2.recompute-selective",
        "compile",
        "tp2.compile.async-tp",
        "dp2.compile.flash",
    ],
)
def test_a_layout_is_printed_as_it_is_spelt(text: str) -> None:
    assert parse_layout(str(parse_layout(text))) == parse_layout(text)


@pytest.mark.parametrize(
    "text", ["", "dp", "dp0", "dp2,tp2", "dp2.dp2", "xp2", "dp2.", "dp-1", "pp2.zbv.gpipe", "recompute", "auto"]
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a part of a layout"):
        parse_layout(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dp4.rep3", "rep = 3 does not divide dp = 4; dp = 6 would do"),
        ("gpipe", "schedule = gpipe needs pp > 1"),
        ("zbv.dp2", "schedule = zbv needs pp > 1"),
        ("pp2.1f1b.v2", "2 stages per rank need schedule = interleaved or zbv"),
        ("pp2.zbv.v3", "zbv has two stages per rank"),
        ("pp2.interleaved.v1", "needs 2 or more stages per rank"),
        ("pp2.zbv.compile", "compile does not go with schedule = zbv"),
        ("pp2.zbv.recompute-selective", "use recompute = full"),
        ("tp2.async-tp", "needs compile and tp > 1"),
        ("dp2.compile.async-tp", "needs compile and tp > 1"),
    ],
)
def test_combinations_that_cannot_be_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        parse_layout(text)
    assert "\n" not in str(refused.value)


def test_llama_405b_divides_into_sixteen_stages_and_their_multiples() -> None:
    assert [len(layers) for layers in partition_layers(126, 16)] == [7, *[8] * 14, 7]
    assert [len(layers) for layers in partition_layers(126, 32)] == [3, *[4] * 30, 3]


@given(st.integers(1, 130), st.integers(1, 16))
def test_stages_hold_every_layer_once(layers: int, stages: int) -> None:
    slots = partition_layers(layers, stages)
    assert [layer for stage in slots for layer in stage] == list(range(layers))
    with_ends = [len(stage) + (i == 0) + (i == stages - 1) for i, stage in enumerate(slots)]
    assert max(with_ends) - min(with_ends) <= 1


@given(st.integers(2, 8), st.sampled_from(["1f1b", "gpipe", "interleaved", "zbv"]), st.integers(2, 4))
def test_every_stage_is_on_one_rank(pp: int, schedule: str, virtual: int) -> None:
    virtual = virtual if schedule == "interleaved" else 0
    layout = Layout.model_validate({"pp": pp, "schedule": schedule, "virtual": virtual})
    numbers = [stage for rank in range(pp) for stage in layout.stage_numbers(rank)]
    assert sorted(numbers) == list(range(layout.stages))


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("tp3", "tp = 3 does not divide model.num_key_value_heads = 4; tp = 2 would do"),
        ("tp8", "tp = 8 does not divide model.num_key_value_heads = 4; tp = 4 would do"),
        ("cp3", "cp = 3 .*to be a multiple of 6"),
        ("pp99", "leave one without layers .* pp = 4 would do"),
        ("pp3.interleaved", "pp = 2 would do with 2 stages per rank"),
        ("dp33", "dp = 33 is more than the 32 sequences"),
        ("dp4.mb9", "mb = 9 is more than the 8 sequences of each data-parallel rank; mb = 8 would do"),
        ("dp16.pp4", "2 micro-batches cannot fill pp = 4"),
        ("dp2.pp4.mb8", "2 micro-batches cannot fill pp = 4 pipeline stages; 64 sequences per batch would"),
    ],
)
def test_layouts_that_do_not_fit_are_refused_with_the_reason(layout: str, message: str) -> None:
    recipe = load_recipe("quickstart", ["model.num_key_value_heads=4", "model.num_hidden_layers=4", "batch.tokens=8Ki"])
    assert recipe.batch.sequences == 32
    with pytest.raises(InputError, match=message):
        check_layout(parse_layout(layout), recipe)


def test_compilation_is_for_gpus() -> None:
    check_layout(parse_layout("dp2.compile"), load_recipe("quickstart"), "cuda")
    with pytest.raises(InputError, match="compile is for GPUs"):
        check_layout(parse_layout("dp2.compile"), load_recipe("quickstart"), "cpu")
    with pytest.raises(InputError, match="flash is for GPUs"):
        check_layout(parse_layout("dp2.flash"), load_recipe("quickstart"), "cpu")
    check_layout(parse_layout("dp2.flash"), load_recipe("quickstart", ["precision.compute=bfloat16"]), "cuda")
    with pytest.raises(InputError, match="flash computes in bfloat16, and precision"):
        check_layout(parse_layout("dp2.flash"), load_recipe("quickstart", ["precision.compute=float32"]), "cuda")


def test_tied_embeddings_stay_on_one_stage() -> None:
    tied = load_recipe("quickstart", ["model.tie_word_embeddings=true"])
    check_layout(parse_layout("dp2.tp2"), tied)
    with pytest.raises(InputError, match="tie_word_embeddings needs pp = 1"):
        check_layout(parse_layout("pp2"), tied)


def test_fewer_ranks_share_the_same_work() -> None:
    assert parse_layout("dp4.tp2").on_ranks(6) == parse_layout("dp3.tp2")
    assert parse_layout("dp4.rep2.cp2").on_ranks(4) == parse_layout("dp2.cp2")  # one copy, sharded as before
    assert parse_layout("dp6.rep3").on_ranks(4) == parse_layout("dp4.rep2")
    assert parse_layout("dp6.rep3").on_ranks(5) == parse_layout("dp5")
    with pytest.raises(InputError, match=r"cannot go on with 6 ranks: cp × tp × pp = 4"):
        parse_layout("dp4.tp2.pp2").on_ranks(6)


def test_the_source_recipe_fits_its_cluster() -> None:
    check_layout(load_cluster("h100-2048").layout, load_recipe("llama-3.1-405b"))
    assert load_cluster("h100-2048").layout.world_size == 2048


@given(st.integers(1, 9), st.integers(0, 40))
def test_shares_hold_every_sample_once_and_differ_by_one(dp: int, sequences: int) -> None:
    samples = range(100, 100 + sequences)
    shares = [Layout(dp=dp).share(samples, rank) for rank in range(dp)]
    assert [sample for share in shares for sample in share] == list(samples)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def layouts() -> Iterator[Layout]:
    for dp in (1, 2, 3):
        yield Layout(dp=dp)
        for pp in (2, 4):
            yield from (Layout(dp=dp, pp=pp, schedule=schedule) for schedule in ("1f1b", "interleaved", "zbv"))
            yield Layout(dp=dp, pp=pp, micro_batch=3)


@given(st.sampled_from(list(layouts())), st.integers(1, 200))
def test_micro_batches_hold_the_largest_share_and_fill_the_pipeline(layout: Layout, sequences: int) -> None:
    count, size = layout.micro_batches(sequences, 1024)
    rows = -(-sequences // layout.dp)
    assert count * size >= rows
    assert size <= 8
    if layout.pp == 1:
        assert (count - 1) * size < rows, "an empty micro-batch"
        return
    assert count >= layout.pp
    if layout.schedule == "interleaved":
        assert count % (count // layout.pp) == 0
    if not layout.micro_batch and rows >= layout.pp and layout.schedule != "interleaved":
        assert count * size == rows, "padding where none is needed"
