"""The training text beside held-out text: the gap of each domain, and how it grows with the number of readings.

Which documents are held out, and which of a source are read once more when an epoch is not whole, is decided by hash
and by a keyed permutation: both are random assignments, so that differences of loss come of the reading.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from altiplano.evaluation.evaluate import FolderScores
from altiplano.evaluation.statistics import Z
from altiplano.overfitting.verdict import LEAST, judged, untold
from altiplano.records import OverfittingTest, TrainGap
from altiplano.records.overfitting import TestName
from altiplano.tokens.shards import Shard
from altiplano.tokens.training_data import TrainingData

POINTS = 4
"""Places of a document at which its readings are counted; their mean is taken."""
LEAST_SPREAD = 0.1
"""Standard deviation of log2(1 + readings) below which documents were read alike."""


def gap_tests(gaps: Mapping[str, TrainGap], scores: FolderScores, margin: float) -> list[OverfittingTest]:
    """Held-out minus training bits per byte of each domain."""
    tests = []
    for domain, gap in sorted(gaps.items()):
        unseen = sum(len(one.numbers) for one in scores.heldout.values() if one.shard.domain == domain)
        seen = sum(len(one.numbers) for one in scores.seen.values() if one.shard.domain == domain)
        sample = f"{unseen:,} held-out and {seen:,} training documents"
        if min(unseen, seen) < LEAST:
            why = f"fewer than {LEAST} documents: raise corpus.heldout.fraction or min_documents"
            tests.append(untold("gap", domain, sample, why))
        else:
            tests.append(judged("gap", domain, gap.gap, gap.low, gap.high, margin, sample))
    return tests


def repetition_test(scores: FolderScores, data: TrainingData | None, samples: int, margin: float) -> OverfittingTest:
    """Bits per byte that training documents are better for each doubling of 1 + readings, within their groups.

    Least squares weighted by bytes, with a robust standard error (HC3: MacKinnon and White 1985). ``data`` None: the
    order of samples is not known.
    """
    test: TestName = "repetition"
    name = "all"
    seen = [one for one in scores.seen.values() if len(one.numbers)]
    count = sum(len(one.numbers) for one in seen)
    sample = f"{count:,} training documents"
    if data is None:
        return untold(test, name, sample, "the order of the training data is not known")
    if count < LEAST:
        return untold(test, name, sample, f"fewer than {LEAST} documents")
    times = [readings(one.shard, one.numbers, data, samples) for one in seen]
    group = np.repeat(np.arange(len(seen)), [len(one.numbers) for one in seen])
    bits = np.concatenate([one.scores.nll / math.log(2) / one.scores.bytes for one in seen])
    weight = np.concatenate([one.scores.bytes for one in seen]).astype(np.float64)
    read = np.concatenate(times)
    x, y = _within(np.log2(1 + read), group, weight), _within(bits, group, weight)
    total = float(weight.sum())
    spread = math.sqrt(float((weight * x * x).sum()) / total)
    if spread < LEAST_SPREAD:
        if read.max() <= 1:
            return untold(test, name, sample, "no training text was read more than once")
        low, high = np.quantile(read, [0.05, 0.95])
        why = f"all documents were read about equally often ({low:.3g} to {high:.3g} times)"
        return untold(test, name, sample, why)
    power = float((weight * x * x).sum())
    slope = float((weight * x * y).sum()) / power
    # a document alone among its readings decides the slope by itself: its own residual says nothing (HC3)
    own = np.concatenate([one.scores.bytes / one.scores.bytes.sum() for one in seen]) + weight * x * x / power
    residual = (y - slope * x) / np.maximum(1 - own, 1e-6)
    error = math.sqrt(float(((weight * x * residual) ** 2).sum())) / power
    value = -slope
    return judged(
        test, name, value, value - Z * error, value + Z * error, margin,
        f"{sample}, for each doubling of 1 + readings", "bits per byte by readings: " + _levels(read, bits, weight),
    )  # fmt: skip


def readings(shard: Shard, numbers: Sequence[int], data: TrainingData, samples: int) -> np.ndarray:
    """How often training read each document [documents], float64: a document may lie in several samples."""
    place = next(at for at, known in enumerate(data.shards) if known.path == shard.path)
    times = np.zeros(len(numbers))
    for row, number in enumerate(numbers):
        begin, length = shard.begin(number), int(shard.lengths[number])
        points = np.unique(np.linspace(begin + 1, begin + max(1, length - 1), POINTS).astype(np.int64)).tolist()
        times[row] = np.mean([len(data.samples_of(place, point, point, samples)) for point in points])
    return times


def _within(values: np.ndarray, group: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Less the weighted mean of the group."""
    mean = np.bincount(group, weights=values * weight) / np.bincount(group, weights=weight)
    return np.asarray(values - mean[group])


def _levels(read: np.ndarray, bits: np.ndarray, weight: np.ndarray) -> str:
    level = np.rint(np.log2(1 + read)).astype(int)
    shown = []
    for one in np.unique(level):
        here = level == one
        mean = float((bits[here] * weight[here]).sum() / weight[here].sum())
        shown.append(f"about {2**one - 1}: {mean:.3f} ({int(here.sum()):,} documents)")
    return ", ".join(shown)
