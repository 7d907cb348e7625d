"""What training leaves out: updates without a finite gradient, samples that made the loss spike, forgotten documents.

The list is part of what determines the weights: a run that starts with another's ``skips.json`` takes the same steps.
"""

import hashlib
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from altiplano.errors import InputError
from altiplano.recipe.batch import BatchConfig
from altiplano.records import SkippedWork
from altiplano.storage import Damaged
from altiplano.tokens.shards import Shard
from altiplano.tokens.training_data import TrainingData


@dataclass
class Skips:
    updates: set[int] = field(default_factory=set)
    """Steps (from 0) that compute a gradient but do not apply it."""
    samples: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of the run's order of samples that no step takes, ascending and disjoint."""

    @property
    def count(self) -> int:
        """Samples that are left out."""
        return sum(stop - start for start, stop in self.samples)

    def has(self, sample: int) -> bool:
        at = bisect_right(self.samples, (sample, sys.maxsize)) - 1
        return at >= 0 and sample < self.samples[at][1]

    def before(self, step: int, batch: BatchConfig) -> "Skips":
        """Those that the steps before ``step`` knew of."""
        taken = int(self.kept(batch.samples(step - 1))[-1]) + 1 if step else 0
        return Skips({one for one in self.updates if one < step}, [one for one in self.samples if one[0] < taken])

    @classmethod
    def read(cls, folder: Path) -> "Skips":
        path = folder / "skips.json"
        if not path.exists():
            return cls()
        try:
            stored = SkippedWork.read(path)
        except Damaged as error:
            raise InputError(f"{folder}: {error}; it determines the weights: bring it back from a copy") from error
        return cls(set(stored.updates), stored.samples)

    def write(self, folder: Path) -> None:
        """Replace the list whole: a kill leaves the old one or the new one."""
        SkippedWork(updates=sorted(self.updates), samples=self.samples).write(folder / "skips.json")

    def skip_samples(self, *ranges: tuple[int, int]) -> None:
        """Leave out samples [start, stop) of each range."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted([*self.samples, *ranges]):
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        self.samples = merged

    def kept(self, places: range) -> np.ndarray:
        """The samples [places], int64, that stand at these places once the skipped ones are left out."""
        ranges = np.array(self.samples, np.int64).reshape(-1, 2)
        skipped = np.append(0, np.cumsum(ranges[:, 1] - ranges[:, 0]))
        taken = np.arange(places.start, places.stop, dtype=np.int64)
        return taken + skipped[np.searchsorted(ranges[:, 0] - skipped[:-1], taken, side="right")]


def leave_out_documents(skips: Skips, data: TrainingData, documents: Sequence[str], batch: BatchConfig) -> None:
    """Skip every sample that holds a token of the documents (``address`` of each), as long as the run takes samples.

    Raises InputError for an address that is none of the training shards'.
    """
    places = [place_in(data.shards, document) for document in documents]
    until = 0
    # What is left out is replaced by samples of later epochs, in which the documents stand again.
    while places and (needed := int(skips.kept(batch.samples(batch.steps - 1))[-1]) + 1) > until:
        until = needed
        held = {sample for place in places for sample in samples_holding(data, *place, until)}
        skips.skip_samples(*((sample, sample + 1) for sample in held))


def address(shard: Shard, number: int) -> str:
    """What the recipe calls a training document: ``SHARD:NUMBER:HASH``, of which the last is of its tokens."""
    return f"{shard.path.name}:{number}:{hashlib.sha256(shard.document(number).tobytes()).hexdigest()[:12]}"


def place_in(shards: Sequence[Shard], document: str) -> tuple[int, int]:
    """Number of the shard, and of the document in it."""
    name, number, _ = [*document.split(":"), "", ""][:3]
    for place, shard in enumerate(shards):
        if shard.path.name == name and number.isdigit() and int(number) < len(shard):
            if address(shard, int(number)) != document:
                raise InputError(
                    f"forget: {document} is another document in these token shards: name it again with altiplano forget"
                )
            return place, int(number)
    raise InputError(f"forget: {document} is in no training shard; name documents with altiplano forget RUN DOCUMENT")


def samples_holding(data: TrainingData, shard: int, document: int, samples: int) -> list[int]:
    """Which of the run's first ``samples`` samples predict a token of a document, ascending. Its begin token is never
    predicted, and its end token, when it is the first of another sample, tells nothing of it."""
    begin = data.shards[shard].begin(document)
    return data.samples_of(shard, begin, begin + int(data.shards[shard].lengths[document]) - 1, samples)
