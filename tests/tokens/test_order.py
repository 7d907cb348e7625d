"""The data order: a permutation, addressed by one number, the same for every number of readers."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from altiplano.errors import InputError
from altiplano.recipe.batch import MixturePhase
from altiplano.tokens.loader import IGNORED, make_batch, read_batch
from altiplano.tokens.mixture import permute, sample_windows, unpermute, window_sample
from altiplano.tokens.shards import ShardWriter, read_shards
from altiplano.tokens.training_data import TrainingData


@given(st.integers(1, 5000), st.integers(0, 2**63))
def test_permute_is_a_permutation(size: int, key: int) -> None:
    assert sorted(permute(np.arange(size), size, key).tolist()) == list(range(size))


@given(st.integers(1, 5000), st.integers(0, 2**63))
def test_unpermute_is_its_inverse(size: int, key: int) -> None:
    assert unpermute(permute(np.arange(size), size, key), size, key).tolist() == list(range(size))


@given(st.integers(1, 200), st.integers(0, 900), st.integers(0, 9), st.sampled_from(["", "web.en"]))
def test_the_sample_of_a_window_is_the_one_that_reads_it(windows: int, sample: int, seed: int, source: str) -> None:
    window = int(sample_windows(np.array([sample]), windows, seed, source)[0])
    assert window_sample(window, sample // windows, windows, seed, source) == sample


def test_permutations_look_random() -> None:
    size = 10_000
    order = permute(np.arange(size), size, 1)
    assert abs(np.corrcoef(np.arange(size), order)[0, 1]) < 0.05
    assert (np.abs(np.diff(order)) == 1).mean() < 0.01
    assert (permute(np.arange(size), size, 2) == order).mean() < 0.01


@given(st.integers(1, 200), st.integers(0, 400), st.integers(1, 300), st.integers(0, 9))
def test_any_slice_is_part_of_one_order(windows: int, first: int, count: int, seed: int) -> None:
    whole = sample_windows(np.arange(first + count), windows, seed)
    assert sample_windows(np.arange(first, first + count), windows, seed).tolist() == whole[first:].tolist()
    for epoch in range((first + count) // windows):
        assert sorted(whole[epoch * windows : (epoch + 1) * windows].tolist()) == list(range(windows))


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_share_the_global_batch(tokenized: Path, ranks: int) -> None:
    data = TrainingData(read_shards(tokenized, "train"), 64, 512, seed=3)
    whole = read_batch(data, range(24, 32))
    parts = [read_batch(data, range(24 + rank * 8 // ranks, 24 + (rank + 1) * 8 // ranks)) for rank in range(ranks)]
    assert torch.equal(torch.cat([part.tokens for part in parts]), whole.tokens)
    assert torch.equal(torch.cat([part.targets for part in parts]), whole.targets)


def test_windows_cross_shard_boundaries(tokenized: Path) -> None:
    shards = read_shards(tokenized, "train")
    data = TrainingData(shards, 64, 512, seed=3)
    stream = np.concatenate([shard.data for shard in shards])
    boundary = shards[0].tokens
    assert data.read(np.array([boundary - 10])).tolist() == [stream[boundary - 10 : boundary + 55].tolist()]
    assert data.windows == (len(stream) - 1) // 64


def test_batches_know_their_documents() -> None:
    bos, eos = 9, 8
    batch = make_batch(np.array([[bos, 1, 2, eos, bos, 3, 4]]), bos)
    assert batch.tokens.tolist() == [[bos, 1, 2, eos, bos, 3]]
    assert batch.targets.tolist() == [[1, 2, eos, IGNORED, 3, 4]]
    assert batch.document.tolist() == [[1, 1, 1, 1, 2, 2]]
    assert batch.valid == 5


def test_padding_is_one_document_that_predicts_nothing() -> None:
    bos, eos = 9, 8
    batch = make_batch(np.array([[bos, 1, eos, bos, bos, bos, bos]]), bos)
    assert batch.targets.tolist() == [[1, eos, IGNORED, IGNORED, IGNORED, IGNORED]]
    assert batch.document.tolist() == [[1, 1, 1, 2, 2, 2]]


def test_too_little_text(tokenized: Path) -> None:
    with pytest.raises(InputError, match="fewer than one sequence"):
        TrainingData(read_shards(tokenized, "train"), 10**6, 512, seed=3)


@pytest.mark.parametrize(
    ("mixture", "expected"),
    [
        ((), "e3d55ee43f11172c700c890be9548a2bc11c23a283aa50e0af8b0078aa55ddd4"),
        (
            (MixturePhase(weights={"web": 0.7, "code": 0.3}), MixturePhase(from_tokens=12_345, weights={"web.en": 1})),
            "be6d7bb85fe4708d58d30b6ed5c9647f7f1c64baa02245f984e14a233e3f9a28",
        ),
    ],
)
def test_the_order_never_changes(mixture: tuple[MixturePhase, ...], expected: str, tmp_path: Path) -> None:
    """Runs on disk rely on it: another version of Altiplano continues them with the same samples."""
    shards = []
    for number, (name, count) in enumerate([("code.code", 3001), ("web.de", 500), ("web.en", 9000)]):
        writer, generator, left = ShardWriter(tmp_path / name, np.uint16), np.random.default_rng(number), count
        while left > 0:
            length = min(left, int(generator.integers(1, 90)))
            writer.add([600, *generator.integers(0, 600, length - 1).tolist()], length)
            left -= length
        shards.append(writer.close("train", *name.split(".")))
    data = TrainingData(shards, 32, 600, 7, mixture)
    sha256 = hashlib.sha256()
    for first, rows in ((0, 16), (380, 30), (5000, 7), (10**9, 3)):
        batch = read_batch(data, range(first, first + rows))
        for tensor in (batch.tokens, batch.targets, batch.document):
            sha256.update(tensor.numpy().tobytes())
    assert sha256.hexdigest() == expected
