"""What must hold for every plan: parts add up, more devices are not slower, units agree, counts are the trainer's."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altiplano.planning.case import Case, Parallelism, with_parallelism
from altiplano.planning.cost import bill
from altiplano.planning.memory import KINDS, chunk_parameters, fullest, memory, rank_parameters
from altiplano.planning.model_size import Shape, parameters, shape_of, training_flops_per_token
from altiplano.planning.stacks import load_chip, load_stack
from altiplano.planning.step_time.step_time import BUCKETS, step_time, throughput
from altiplano.recipe.load import load_recipe

LLAMA_8B = Shape(32, 4096, 32, 8, 14336, 128256)
LLAMA_405B = Shape(126, 16384, 128, 8, 53248, 128256)
STACKS = ["nvidia-nemo", "megatron", "meta-llama3", "torchtitan-bf16", "maxtext", "altiplano"]

spreads = st.builds(
    Parallelism,
    dp=st.sampled_from([1, 2, 8, 64]),
    tp=st.sampled_from([1, 2, 8]),
    pp=st.sampled_from([1, 2, 8]),
    cp=st.sampled_from([1, 2, 4]),
    micro_batch=st.sampled_from([1, 2]),
    recompute=st.sampled_from(["none", "full"]),
)


def case_of(parallelism: Parallelism, stack: str, shape: Shape = LLAMA_8B) -> Case:
    profile = load_stack(stack)
    parallelism = replace(parallelism, sharding=profile.sharding, gradient_bytes=profile.gradient_bytes)
    return Case(shape, 8192, 2048, parallelism, slots=profile.slots)


@settings(max_examples=80, deadline=None)
@given(spreads, st.sampled_from(STACKS), st.sampled_from(["h100", "a100", "b200"]))
def test_parts_add_up(parallelism: Parallelism, stack: str, chip: str) -> None:
    case, profile = case_of(parallelism, stack), load_stack(stack)
    step = step_time(case, load_chip(chip), profile)
    assert tuple(step.parts) == BUCKETS
    assert sum(step.parts.values()) == pytest.approx(step.total, rel=1e-9)
    assert all(value >= 0 for value in step.parts.values())
    for one in memory(case, profile):
        assert tuple(one.parts) == KINDS
        assert sum(one.parts.values()) == pytest.approx(one.total, rel=1e-9)
        assert all(value >= 0 for value in one.parts.values())


@settings(max_examples=80, deadline=None)
@given(spreads, st.sampled_from(STACKS))
def test_more_devices_never_lower_throughput(parallelism: Parallelism, stack: str) -> None:
    """Twice the copies of one tensor, pipeline and context size, the same batch: at least as many tokens a second."""
    chip, profile = load_chip("h100"), load_stack(stack)
    few = case_of(parallelism, stack)
    many = with_parallelism(few, dp=2 * parallelism.dp)
    if many.micro_batches < parallelism.pp:
        return
    assert step_time(many, chip, profile).total <= step_time(few, chip, profile).total * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(
    spreads,
    st.sampled_from([("1f1b", 1), ("gpipe", 1), ("gpipe", 2), ("interleaved", 2), ("interleaved", 3), ("zbv", 2)]),
    st.sampled_from([LLAMA_8B, LLAMA_405B]),
    st.sampled_from(STACKS),
    st.booleans(),
)
def test_no_rank_is_fuller_than_the_fullest(
    parallelism: Parallelism, pipeline: tuple[str, int], shape: Shape, stack: str, slots: bool
) -> None:
    schedule, virtual = pipeline
    parallelism = replace(parallelism, pp=8, schedule=schedule, virtual=virtual)
    case, profile = replace(case_of(parallelism, stack, shape), slots=slots), load_stack(stack)
    assert fullest(case, profile).total == max(one.total for one in memory(case, profile))


@settings(max_examples=60, deadline=None)
@given(spreads, st.sampled_from(STACKS))
def test_more_copies_never_need_more_memory(parallelism: Parallelism, stack: str) -> None:
    profile = load_stack(stack)
    few = case_of(parallelism, stack)
    many = with_parallelism(few, dp=2 * parallelism.dp)
    assert all(
        b.total <= a.total * (1 + 1e-9) for a, b in zip(memory(few, profile), memory(many, profile), strict=True)
    )


def test_a_head_in_pieces_trades_logits_for_one_more_product() -> None:
    """Eight pieces: an eighth of the logits and the gradient of hidden states; a third of the head's products more."""
    chip, profile = load_chip("h100"), load_stack("altiplano")
    narrow = Shape(32, 4096, 32, 8, 1024, 128256)  # whose blocks need less than the head at any moment
    whole = case_of(Parallelism(dp=8), "altiplano", narrow)
    pieces = with_parallelism(whole, head_chunks=8)
    logits, states = 4 * 8192 * narrow.vocab_size, 4 * 8192 * narrow.hidden_size
    assert memory(whole, profile)[0].parts["logits"] == logits
    assert memory(pieces, profile)[0].parts["logits"] == logits / 8 + states
    slow, fast = (step_time(one, chip, profile).parts["head and loss"] for one in (pieces, whole))
    assert 1.2 < slow / fast < 1.4


def test_asynchronous_tensor_parallelism_hides_some_communication() -> None:
    chip, profile = load_chip("h100"), load_stack("altiplano")
    case = case_of(Parallelism(dp=4, tp=2), "altiplano")
    waited, hidden = (
        step_time(with_parallelism(case, async_tp=one), chip, profile).parts["tensor communication"]
        for one in (False, True)
    )
    assert hidden == pytest.approx(profile.async_tp_exposed * waited)


def test_float8_by_rows_gains_what_an_h200_showed() -> None:
    """3.5 % of a step of twelve layers of Llama 3 8B (benchmarks/results/2026-11-27-gpu.md); less where narrow."""
    chip, profile, twelve_layers = load_chip("h200"), load_stack("altiplano"), replace(LLAMA_8B, num_hidden_layers=12)
    gains = []
    for tp in (1, 8):
        case = replace(case_of(Parallelism(dp=1, tp=tp), "altiplano", twelve_layers), sequences=4)
        times = [step_time(replace(case, precision=one), chip, profile).total for one in ("bf16", "fp8")]
        gains.append(times[0] / times[1])
    assert gains[0] == pytest.approx(1355.2 / 1309.1, abs=0.01)
    assert gains[1] < gains[0]


def test_memory_is_additive_over_stages() -> None:
    """The parameters of all pipeline ranks are the model's, with the vectors that tensor-parallel ranks all hold."""
    for pp, virtual in ((1, 1), (8, 1), (8, 8), (16, 1)):
        case = case_of(Parallelism(pp=pp, virtual=virtual, tp=8), "nvidia-nemo", LLAMA_405B)
        vectors = LLAMA_405B.num_hidden_layers * LLAMA_405B.layer_vectors + LLAMA_405B.hidden_size
        held = sum(rank_parameters(case, rank) for rank in range(pp))
        assert held == pytest.approx((LLAMA_405B.parameters - vectors) / 8 + vectors, rel=1e-12)
        assert held == sum(chunk_parameters(case, chunk) for chunk in case.chunks)


@pytest.mark.parametrize("name", ["llama-3.1-405b", "llama-3.1-70b", "llama-3.1-8b", "quickstart", "small"])
def test_planner_and_trainer_count_alike(name: str) -> None:
    model, shape = load_recipe(name).model, shape_of(load_recipe(name).model)
    assert shape.parameters == parameters(model)
    for causal in (True, False):
        assert shape.training_flops_per_token(8192, causal) == training_flops_per_token(model, 8192, causal)


def test_published_flops() -> None:
    """405B at 8,192 tokens: 2.524e12 a token causal, 2.625e12 in full; Megatron-Bridge: 822 TFLOP/s at 326 tokens/s."""
    assert LLAMA_405B.parameters == 405_853_388_800
    assert LLAMA_405B.training_flops_per_token(8192) == pytest.approx(2.5240e12, rel=1e-4)
    assert LLAMA_405B.training_flops_per_token(8192, causal=False) == pytest.approx(2.6254e12, rel=1e-4)
    assert LLAMA_405B.training_flops_per_token(8192) == pytest.approx(822e12 / 326, rel=2e-3)


def test_units() -> None:
    """A second at 700 W is 700 J; a kilowatt-hour is 3.6 MJ; tokens a second and seconds a step agree."""
    one = bill(3600.0, 1000, 700.0, 1275.0, 1.1, "USA", 2.0, 0.05)
    assert one.device_hours == 1000
    assert one.kwh_chips == pytest.approx(1000 * 3600 * 700 / 3.6e6)
    assert one.kwh_site == pytest.approx(1000 * 1.275 * 1.1)
    assert one.kg_site / one.kwh_site == pytest.approx(0.369)
    assert one.dollars == 2000 and one.dollars_with_spares == pytest.approx(2100)
    case, chip = case_of(Parallelism(dp=8), "nvidia-nemo"), load_chip("h100")
    rate = throughput(case, chip, 2.0)
    assert rate["tokens_per_second"] * 2.0 == case.batch_tokens
    assert rate["mfu"]["causal"] < rate["mfu"]["full"]
    assert rate["tflops_per_device"]["causal"] * 1e12 == pytest.approx(rate["mfu"]["causal"] * chip.peak_bf16)


def test_slower_hardware_is_slower() -> None:
    case, profile = case_of(Parallelism(dp=8, tp=8, pp=8, cp=2), "nvidia-nemo"), load_stack("nvidia-nemo")
    chip = load_chip("h100")
    fast = step_time(case, chip, profile).total
    for key in ("peak_bf16", "memory_bandwidth", "link_bandwidth", "network_bandwidth"):
        slow = replace(chip, **{key: getattr(chip, key) / 2})
        assert step_time(case, slow, profile).total > fast, key
