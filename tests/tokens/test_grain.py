"""grain, Google's data loader, as an independent witness: its sharding, threads, resumption and mixing, over plain
slices of the token stream, see what ours sees."""

from pathlib import Path

import grain
import numpy as np
import pytest

from altiplano.recipe.batch import MixturePhase
from altiplano.tokens.loader import read_batch
from altiplano.tokens.mixture import BLOCK, Mixture
from altiplano.tokens.shards import read_shards
from altiplano.tokens.training_data import TrainingData

SEQUENCE, ROWS, SAMPLES = 64, 12, 240
MIXTURE = (MixturePhase(weights={"web": 0.75, "code": 0.25}), MixturePhase(from_tokens=7777, weights={"code.code": 1}))


class Windows(grain.sources.RandomAccessDataSource):
    """Sample i by plain slicing of the concatenated shards: only the places are ours."""

    def __init__(self, data: TrainingData):
        self.stream = np.concatenate([shard.data for shard in data.shards])
        self.places = [int(data.starts(range(sample, sample + 1))[0]) for sample in range(SAMPLES)]

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, sample: int) -> np.ndarray:
        return self.stream[self.places[sample] : self.places[sample] + SEQUENCE].astype(np.int64)


@pytest.fixture(params=[(), MIXTURE], ids=["permutation", "mixture"])
def data(request: pytest.FixtureRequest, tokenized: Path) -> TrainingData:
    return TrainingData(read_shards(tokenized, "train"), SEQUENCE, 512, 3, request.param)


def ours(data: TrainingData, batch: int) -> np.ndarray:
    return read_batch(data, range(batch * ROWS, (batch + 1) * ROWS)).tokens.numpy()


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6, 12])
def test_the_same_samples_for_every_number_of_ranks_and_threads(data: TrainingData, ranks: int) -> None:
    share = ROWS // ranks
    readers = []
    for rank in range(ranks):
        dataset = grain.MapDataset.source(Windows(data)).batch(share)[rank::ranks]
        readers.append(iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=rank % 3, prefetch_buffer_size=4))))
    for batch in range(SAMPLES // ROWS):
        assert (np.concatenate([next(reader) for reader in readers]) == ours(data, batch)).all()


@pytest.mark.parametrize("stop", [1, 7, 13])
def test_the_same_samples_after_resuming(data: TrainingData, stop: int) -> None:
    dataset = grain.MapDataset.source(Windows(data)).batch(ROWS).to_iter_dataset()
    reader = iter(dataset)
    for _ in range(stop):
        next(reader)
    resumed = iter(dataset)
    resumed.set_state(reader.get_state())
    fresh = TrainingData(data.shards, SEQUENCE, 512, 3, MIXTURE if data.mixture else ())
    for batch in range(stop, SAMPLES // ROWS):
        assert (next(resumed) == ours(fresh, batch)).all()


def test_shares_agree_with_grains_mixing() -> None:
    weights = {"code.code": 0.21, "web.de": 0.04, "web.en": 0.75}
    sources = [grain.MapDataset.range(10**6).map(lambda _, number=number: number) for number in range(3)]
    theirs = grain.MapDataset.mix(sources, weights=list(weights.values()))
    mix = Mixture([MixturePhase(weights=weights)], dict.fromkeys(weights, 10**6), SEQUENCE, 0)
    samples = 6 * BLOCK
    drawn = np.array([theirs[i] for i in range(samples)])
    source, _ = mix.places(0, samples)
    for count in range(BLOCK, samples + 1, BLOCK):
        both = [np.bincount(order[:count], minlength=3) for order in (drawn, source)]
        assert np.abs(both[0] - both[1]).max() <= 2, count
