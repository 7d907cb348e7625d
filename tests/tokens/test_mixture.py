"""The mixture: shares exact at every point of the run, every window once an epoch, nothing remembered."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from altiplano.errors import InputError
from altiplano.recipe.batch import MixturePhase
from altiplano.recipe.layout import Layout
from altiplano.tokens.loader import read_batch
from altiplano.tokens.mixture import BLOCK, PARTS, Mixture
from altiplano.tokens.shards import ShardWriter, read_shards, write_list
from altiplano.tokens.training_data import TrainingData

SEQUENCE = 8
SOURCES = {"code.code": 40, "web.de": 7, "web.en": 300, "web.fr": 23}


def phase(from_samples: int = 0, **weights: float) -> MixturePhase:
    """Names are spelt with two underscores for the dot."""
    return MixturePhase(
        from_tokens=from_samples * SEQUENCE, weights={name.replace("__", "."): w for name, w in weights.items()}
    )


def mixture(*phases: MixturePhase, seed: int = 0) -> Mixture:
    return Mixture(phases, SOURCES, SEQUENCE, seed)


weights = st.lists(st.floats(1e-3, 1.0), min_size=4, max_size=4)


def mixed(shares: Sequence[float], from_samples: int = 0) -> MixturePhase:
    return MixturePhase(from_tokens=from_samples * SEQUENCE, weights=dict(zip(SOURCES, shares, strict=True)))


@hypothesis_settings(max_examples=25)
@given(weights, st.integers(0, 40 * BLOCK))
def test_every_source_has_its_share_after_any_number_of_samples(shares: list[float], samples: int) -> None:
    source, _ = mixture(mixed(shares)).places(0, samples)
    counts = np.bincount(source, minlength=4)
    assert counts.sum() == samples
    exact = samples * np.array(shares) / sum(shares)
    in_whole_blocks = samples // BLOCK * BLOCK
    counts_in_blocks = np.bincount(source[:in_whole_blocks], minlength=4)
    # Within one sample, and the rounding of shares to 2^-20, at the end of every block; inside one, by what it holds.
    assert np.abs(counts_in_blocks - in_whole_blocks * exact / max(samples, 1)).max() <= 1 + samples / PARTS
    quota = np.ceil(BLOCK * np.array(shares) / sum(shares)) + 2
    assert (np.abs(counts - exact) <= quota).all()


def test_shares_do_not_drift_over_cycles() -> None:
    mix = mixture(phase(web__en=1 / 3, web__de=0.001, code__code=0.665666))
    for samples in (PARTS - BLOCK, PARTS, 10**7, 1_830_000_000):
        drawn = mix.drawn(samples)
        assert sum(drawn.values()) == samples
        assert drawn["web.fr"] == 0
        assert abs(drawn["web.en"] - samples / 3) <= BLOCK + samples / PARTS


@pytest.mark.parametrize("count", [2, 60, 300])
def test_hundreds_of_unequal_sources_stay_within_one_sample(count: int) -> None:
    generator = np.random.default_rng(count)
    names = [f"web.x{i}" for i in range(count)]
    sizes = {name: int(size) for name, size in zip(names, generator.pareto(0.5, count) * 100 + 1, strict=True)}
    mix = Mixture([MixturePhase(weights={"web": 1.0})], sizes, SEQUENCE, 0)
    cycle = mix.phases[0].cycle
    blocks = np.arange(len(cycle))[:, None]
    assert (cycle.sum(axis=1) == blocks[:, 0] * BLOCK).all()
    assert (np.diff(cycle, axis=0) >= 0).all()
    assert np.abs(cycle - blocks * BLOCK * mix.phases[0].parts / PARTS).max() <= 1


@hypothesis_settings(max_examples=25)
@given(weights, weights, st.integers(1, 5 * BLOCK), st.integers(0, 3 * BLOCK), st.integers(0, 9))
def test_draws_of_a_source_are_numbered_without_gap_across_phases(
    one: list[float], two: list[float], change: int, more: int, seed: int
) -> None:
    mix = mixture(mixed(one), mixed(two, change), seed=seed)
    source, draw = mix.places(0, change + more)
    at_change = np.bincount(source[:change], minlength=4)
    assert np.abs(at_change - change * np.array(one) / sum(one)).max() <= 2
    assert mix.drawn(change) == dict(zip(SOURCES, at_change.tolist(), strict=True))
    for number in range(4):
        before = draw[:change][source[:change] == number]
        assert sorted(before.tolist()) == list(range(len(before)))
        whole_blocks = change + more // BLOCK * BLOCK
        until = draw[:whole_blocks][source[:whole_blocks] == number]
        assert sorted(until.tolist()) == list(range(len(until)))


@hypothesis_settings(max_examples=25)
@given(weights, weights, st.integers(1, 3 * BLOCK), st.integers(0, 5 * BLOCK), st.integers(0, 2 * BLOCK))
def test_any_slice_is_part_of_one_order(
    one: list[float], two: list[float], change: int, first: int, count: int
) -> None:
    mix = mixture(mixed(one), mixed(two, change))
    whole, part = mix.places(0, first + count), mix.places(first, count)
    for a, b in zip(whole, part, strict=True):
        assert a[first:].tolist() == b.tolist()


def test_a_phase_before_the_change_knows_nothing_of_it() -> None:
    one, two = phase(web=1.0), phase(500, code=1.0)
    alone, both = mixture(one).places(0, 512), mixture(one, two).places(0, 512)
    # The last whole block before the change is the same; the change itself falls exactly on its sample.
    assert alone[0][:BLOCK].tolist() == both[0][:BLOCK].tolist()
    code = list(SOURCES).index("code.code")
    assert (both[0][:500] != code).all()
    assert (both[0][500:] == code).all()


def test_a_change_between_two_samples_waits_for_the_next() -> None:
    two = MixturePhase(from_tokens=3 * SEQUENCE + 1, weights={"code": 1.0})
    source, _ = mixture(phase(web=1.0), two).places(0, 8)
    assert (source == 0).tolist() == [False] * 4 + [True] * 4


def test_a_domain_is_its_languages_without_a_weight_of_their_own_by_size() -> None:
    drawn = mixture(phase(web__en=0.5, web=0.3, code=0.2)).drawn(PARTS)
    shares = {name: count / PARTS for name, count in drawn.items()}
    expected = {"web.en": 0.5, "web.de": 0.3 * 7 / 30, "web.fr": 0.3 * 23 / 30, "code.code": 0.2}
    assert shares == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            {"web.it": 1.0},
            "'web.it' is not in the training shards; known: code, web, code.code, web.de, web.en, web.fr",
        ),
        ({"books": 1.0}, "'books' is not in the training shards"),
        ({"code": 0.5, "code.code": 0.5}, "every language of 'code' has a weight of its own; drop 'code'"),
        ({"academic.en": 1.0}, "'academic.en' holds less than one sequence"),
    ],
)
def test_mistakes_are_one_line(weights: dict[str, float], message: str) -> None:
    windows = SOURCES | ({"academic.en": 0} if "academic.en" in weights else {})
    with pytest.raises(InputError) as caught:
        Mixture([MixturePhase(weights=weights)], windows, SEQUENCE, 0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def tokenized_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards whose every token is its own place: source number × 10,000 + place in the shard. Token 1 begins texts."""
    folder = tmp_path_factory.mktemp("sources")
    shards = []
    for number, (name, windows) in enumerate(SOURCES.items(), start=1):
        domain, language = name.split(".")
        writer = ShardWriter(folder / "train" / name, np.uint16)
        writer.add(range(number * 10_000, number * 10_000 + windows * SEQUENCE + 3), 1)
        shards.append(writer.close("train", domain, language))
    write_list(folder, shards, 60_000)
    return folder


def load(folder: Path, *phases: MixturePhase, seed: int = 0, sequence: int = SEQUENCE) -> TrainingData:
    return TrainingData(read_shards(folder, "train"), sequence, 1, seed, phases)


def test_every_window_of_a_source_comes_once_an_epoch(tokenized_sources: Path) -> None:
    data = load(tokenized_sources, phase(web__en=0.9, web__de=0.1))
    tokens = read_batch(data, range(16 * BLOCK)).tokens.numpy()
    assert (np.diff(tokens, axis=1) == 1).all()  # no window crosses from one source to the next
    first = tokens[:, 0]
    for number, share in ((3, 0.9), (2, 0.1)):
        own = first[first // 10_000 == number] - number * 10_000
        windows = list(SOURCES.values())[number - 1]
        epochs, rest = divmod(len(own), windows)
        assert len(own) == pytest.approx(16 * BLOCK * share, abs=1)
        counts = np.bincount(own // SEQUENCE, minlength=windows)
        assert counts.min() >= epochs and counts.max() <= epochs + (rest > 0)
    assert set((first // 10_000).tolist()) == {2, 3}


@hypothesis_settings(max_examples=20)
@given(
    cuts=st.lists(st.integers(0, 64), max_size=6),
    first=st.integers(0, 2000),
    with_mixture=st.booleans(),
    sequence=st.sampled_from([5, 8]),
)
def test_any_division_among_ranks_sees_the_same_global_batch(
    tokenized_sources: Path, cuts: list[int], first: int, with_mixture: bool, sequence: int
) -> None:
    phases = [phase(web=0.7, code=0.3), phase(900, web__en=1.0)] if with_mixture else []
    data, rank_data = (load(tokenized_sources, *phases, sequence=sequence) for _ in range(2))
    whole = read_batch(data, range(first, first + 64))
    edges = sorted({0, *cuts, 64})
    parts = [read_batch(rank_data, range(first + a, first + b)) for a, b in pairwise(edges)]
    for key in ("tokens", "targets", "document"):
        assert torch.equal(torch.cat([getattr(part, key) for part in parts]), getattr(whole, key))


@pytest.mark.parametrize("dp", range(1, 8))
@pytest.mark.parametrize("rows", [1, 5, 16])
def test_every_layout_takes_the_global_batch_once(tokenized_sources: Path, dp: int, rows: int) -> None:
    data, samples = load(tokenized_sources, phase(web=0.7, code=0.3)), range(250, 250 + rows)
    shares = [Layout(dp=dp).share(samples, rank) for rank in range(dp)]
    parts = [read_batch(data, share).tokens for share in shares]
    assert torch.equal(torch.cat(parts), read_batch(data, range(250, 250 + rows)).tokens)


def test_an_empty_share_is_a_batch_of_no_rows(tokenized_sources: Path) -> None:
    batch = read_batch(load(tokenized_sources, phase(web=1.0)), range(0))
    assert batch.tokens.shape == batch.targets.shape == batch.document.shape == (0, SEQUENCE)
    assert batch.tokens.dtype == batch.document.dtype == torch.int64
    assert batch.valid == 0


def test_the_fingerprint_is_of_the_order(tokenized_sources: Path, tmp_path: Path) -> None:
    same = load(tokenized_sources, phase(web=1.0)).fingerprint
    assert same == load(tokenized_sources, phase(web=1.0)).fingerprint
    others = [
        load(tokenized_sources),
        load(tokenized_sources, phase(web=1.0), seed=1),
        load(tokenized_sources, phase(web=1.0), sequence=4),
        load(tokenized_sources, phase(web=0.5)),
        load(tokenized_sources, phase(web=1.0), phase(100, code=1.0)),
    ]
    writer = ShardWriter(tmp_path / "train" / "web.en", np.uint16)
    writer.add(range(100), 1)
    write_list(tmp_path, [writer.close("train", "web", "en")], 60_000)
    others.append(load(tmp_path, phase(web=1.0)))
    writer = ShardWriter(tmp_path / "train" / "web.en", np.uint16)
    writer.add(range(1, 101), 1)
    write_list(tmp_path, [writer.close("train", "web", "en")], 60_000)
    others.append(load(tmp_path, phase(web=1.0)))
    assert len({same, *(data.fingerprint for data in others)}) == 8


def test_repetition_is_reported(tokenized_sources: Path) -> None:
    data = load(tokenized_sources, phase(web__de=0.5, web__en=0.5))
    assert data.epochs(140) == pytest.approx({"web.de": 10, "web.en": 70 / 300}, rel=0.15)
    *table, warning = data.summary(256)
    assert [line.split()[0] for line in table] == ["source", "web.de", "web.en", "code.code", "web.fr"]
    assert "0.0%" in table[-1]
    assert "web.de" in warning and "epochs" in warning and "web.en" not in warning
    assert load(tokenized_sources).summary(100) == []
    assert "all 5.39 epochs" in load(tokenized_sources).summary(2000)[0]


def test_missing_shards_are_one_line_at_the_start(tokenized_sources: Path, tmp_path: Path) -> None:
    shards = read_shards(tokenized_sources, "train")
    gone = [type(shard)(tmp_path / "gone", *list(vars(shard).values())[1:8]) for shard in shards]
    with pytest.raises(InputError, match=r"gone.*cannot be read"):
        TrainingData(gone, SEQUENCE, 1, 0)


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, [0.8, 0.2]), (2.0, [2 / 3, 1 / 3]), (1e9, [0.5, 0.5])])
def test_temperature_raises_small_languages(temperature: float, expected: list[float]) -> None:
    phase = MixturePhase(weights={"web": 3.0, "code": 1.0}, temperature=temperature)
    mixture = Mixture([phase], {"web.en": 4000, "web.sw": 1000, "code.code": 500}, 16, seed=0)
    drawn = mixture.drawn(2**20)
    assert drawn["code.code"] / 2**20 == pytest.approx(0.25, abs=1e-5)
    assert [drawn[name] / 2**20 / 0.75 for name in ("web.en", "web.sw")] == pytest.approx(expected, abs=1e-5)


@hypothesis_settings(max_examples=25)
@given(weights, weights, st.integers(1, 3 * BLOCK), st.integers(0, 9))
def test_the_sample_of_a_draw_is_the_one_that_draws_it(
    one: list[float], two: list[float], change: int, seed: int
) -> None:
    two[0] = 1e-9  # nearly nothing of it
    mix = mixture(mixed(one), mixed(two, change), seed=seed)
    sources, draws = mix.places(0, change + 2 * BLOCK)
    places = zip(sources.tolist(), draws.tolist(), strict=True)
    assert [mix.sample(source, draw) for source, draw in places] == list(range(len(sources)))


def test_a_draw_far_into_a_run_is_found_and_one_that_no_phase_makes_is_not() -> None:
    mix = mixture(phase(web__en=1.0), phase(10 * BLOCK + 7, code__code=0.3, web__de=0.7))
    first = 3 * PARTS + 12_345
    sources, draws = mix.places(first, BLOCK)
    found = [mix.sample(source, draw) for source, draw in zip(sources.tolist(), draws.tolist(), strict=True)]
    assert found == list(range(first, first + BLOCK))
    english, french = mix.names.index("web.en"), mix.names.index("web.fr")
    assert mix.sample(english, 10 * BLOCK + 6) is not None
    assert mix.sample(english, 10 * BLOCK + 7) is None
    assert mix.sample(french, 0) is None


@hypothesis_settings(max_examples=10)
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=5), st.integers(1, 40), st.integers(0, 9), st.sampled_from("abc")
)
def test_the_samples_of_a_token_are_those_that_predict_it(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], samples: int, seed: int, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    sizes[0] += 2 * SEQUENCE
    numbers = iter(range(10**6))
    shards = []
    for at, size in enumerate(sizes):  # every token of all shards is another one
        writer = ShardWriter(folder / f"web.en-{at}", np.int32)
        writer.add([next(numbers) for _ in range(size)], 1)
        shards.append(writer.close("train", "web" if at % 2 == 0 else "code", "en"))
    one, two = phase(web=0.7, code=0.3), phase(11, web=1.0)
    phases = {"a": [], "b": [phase(web=1.0)], "c": [one, two]}[kind]
    if kind == "c" and max(sizes[1::2]) <= SEQUENCE:
        phases = [two.model_copy(update={"from_tokens": 0})]
    data = TrainingData(shards, SEQUENCE, 10**6, seed, phases)
    predicted: dict[int, list[int]] = {}
    for sample in range(samples):
        for token in data.read(data.starts(range(sample, sample + 1)))[0][1:].tolist():
            predicted.setdefault(token, []).append(sample)
    for at, size in enumerate(sizes):
        begin = sum(sizes[:at])
        for token in range(size):
            assert data.samples_of(at, token, token, samples) == predicted.get(begin + token, [])
        whole = {sample for token in range(size) for sample in predicted.get(begin + token, [])}
        assert data.samples_of(at, 0, size - 1, samples) == sorted(whole)
