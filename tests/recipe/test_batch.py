"""Batch sizes that grow at token counts: whatever the ramp, steps and samples follow one another without gap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.errors import InputError
from altiplano.recipe.batch import BatchConfig, Ramp
from altiplano.recipe.layout import check_layout, parse_layout
from altiplano.recipe.load import load_recipe


def test_a_batch_grows_at_its_token_counts() -> None:
    batch = BatchConfig(
        tokens=80,
        sequence_length=10,
        total_tokens=500,
        ramp=(Ramp(until=60, tokens=20), Ramp(until=150, tokens=40)),
    )
    seen = [batch.tokens_after(step) for step in range(batch.steps + 1)]
    # 20 until 60; 40 until a step would begin at or after 150; then 80 until 500 are reached.
    assert seen == [0, 20, 40, 60, 100, 140, 180, 260, 340, 420, 500]
    assert batch.samples(0) == range(2)
    assert batch.samples(3) == range(6, 10)
    assert batch.samples(6) == range(18, 26)
    assert batch.sizes == [2, 4, 8]


def test_without_a_ramp_all_batches_are_alike() -> None:
    batch = BatchConfig(tokens=80, sequence_length=10, total_tokens=500)
    assert batch.steps == 7
    assert batch.samples(3) == range(24, 32)
    assert batch.tokens_after(3) == 240
    assert batch.sizes == [8]


ramps = st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 40)), max_size=4)


@given(ramps, st.integers(1, 60), st.integers(1, 4000), st.integers(1, 9))
def test_steps_follow_without_gap_and_end_at_the_total(
    entries: list[tuple[int, int]], sequences: int, total: int, length: int
) -> None:
    untils = sorted({until for until, _ in entries})
    ramp = tuple(Ramp(until=u, tokens=size * length) for u, (_, size) in zip(untils, entries, strict=False))
    batch = BatchConfig(tokens=sequences * length, sequence_length=length, total_tokens=total, ramp=ramp)
    sample, tokens, sizes = 0, 0, []
    for step in range(batch.steps):
        assert tokens < total
        samples = batch.samples(step)
        wanted = next((r.tokens for r in ramp if tokens < r.until), batch.tokens)  # what the recipe says at this count
        assert samples == range(sample, sample + wanted // length)
        sizes.append(len(samples))
        sample, tokens = samples.stop, tokens + wanted
        assert batch.tokens_after(step + 1) == tokens
    assert tokens >= total
    assert batch.sizes == list(dict.fromkeys(sizes))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('batch.ramp=[{until="1M", tokens=1000}]', "ramp.0.tokens = 1,000 is not a whole number of sequences of 256"),
        ("batch.ramp=[{until=9, tokens=256}, {until=9, tokens=512}]", "ramp: until = 9 must be above the 9 before it"),
        ("batch.ramp=[{until=9, token=256}]", "batch.ramp.0.token is not a known key; did you mean tokens?"),
        ("mixture=[{from_tokens=5, weights={web=1}}]", "the first phase starts at from_tokens = 5; it must be 0"),
        ("mixture=[{weights={web=1}}, {weights={web=1}}]", "from_tokens = 0 must be above the 0 before it"),
        ("mixture=[{weights={web=0}}]", "mixture.0.weights.web: Input should be greater than 0"),
        ("mixture=[{weights={}}]", "mixture.0.weights: "),
        ("mixture=[{weight={web=1}}]", "mixture.0.weight is not a known key; did you mean weights?"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe("quickstart", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_layout_must_fit_every_batch_size_of_the_ramp() -> None:
    layout = parse_layout("dp4.pp4")
    check_layout(layout, load_recipe("quickstart", ["batch.tokens=4Ki"]))
    with pytest.raises(InputError, match=r"layout dp4\.tp1\.pp4"):
        check_layout(layout, load_recipe("quickstart", ["batch.tokens=4Ki", "batch.ramp=[{until='50K', tokens=512}]"]))
    # A ramp that the run never gets to use does not count.
    check_layout(layout, load_recipe("quickstart", ["batch.tokens=512", "batch.ramp=[{until='2M', tokens='4Ki'}]"]))
