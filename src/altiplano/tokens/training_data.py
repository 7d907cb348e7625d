"""The training shards as one order of samples: which window of the token stream is read when.

The state of the data is one integer, the number of samples taken, and ``TrainingData.fingerprint`` says of which order.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import count

import numpy as np

from altiplano.errors import InputError
from altiplano.recipe.batch import MixturePhase
from altiplano.recipe.units import human
from altiplano.records import SourceShare
from altiplano.storage import json_digest
from altiplano.tokens.mixture import BLOCK, Mixture, sample_windows, window_sample
from altiplano.tokens.shards import Shard

WORTHWHILE_EPOCHS = 4
"""Muennighoff et al. 2023, "Scaling Data-Constrained Language Models": up to four, repeated text is nearly as good."""
MAPPED = 256
"""Token files that are open at a time: 15T tokens have 14,000, and each would take a descriptor."""
CHUNK = 4096
"""Samples whose places are found together: short batches of short rows would spend their time on it otherwise."""


class TrainingData:
    """The training shards as one order of samples: windows of ``sequence`` tokens and the one that follows.

    Without a mixture the shards are one stream, and its windows come in a keyed permutation, epoch after epoch. With
    one, ``tokens/mixture.py`` says from which source (``domain.language``) a sample comes, and each source has its own
    permutation and epochs.
    """

    def __init__(
        self, shards: Sequence[Shard], sequence: int, bos: int, seed: int, mixture: Sequence[MixturePhase] = ()
    ):
        """Opens none but the first shard: the others when they are read. Raises InputError when it is missing or
        damaged, the text is too short, or the mixture names a source that is not there."""
        self.shards, self.sequence, self.bos, self.seed = [s for s in shards if s.tokens], sequence, bos, seed
        self.ends = np.cumsum([shard.tokens for shard in self.shards])
        self.tokens = int(self.ends[-1]) if self.shards else 0
        self.windows = max(0, self.tokens - 1) // sequence
        if not self.windows:
            raise InputError(
                f"the training shards hold {self.tokens:,} tokens, fewer than one sequence of {sequence:,}; add text"
            )
        self.begins = self.ends - [shard.tokens for shard in self.shards]
        self.dtype = self.shards[0].dtype
        self._mapped = lru_cache(MAPPED)(self._map)
        self.sources = _sources(self.shards, sequence)
        self.mixture: Mixture | None = None
        if mixture:
            sizes = {name: int(ends[-1]) for name, (_, ends) in self.sources.items()}
            self.mixture = Mixture(mixture, sizes, sequence, seed)
        order = {
            "shards": [[shard.name, shard.tokens, shard.sha256] for shard in self.shards],
            "sequence": sequence,
            "bos": bos,
            "seed": seed,
            "mixture": [phase.model_dump() for phase in mixture],
        }
        self.fingerprint = json_digest(order)
        """Changes when any sample could: other tokens, sequence length, seed or mixture."""
        self._chunk = (-1, np.empty(0, np.int64))

    def _map(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of shard ``number``, and every window within it. Plain arrays: slices of a memmap are slower by their
        bookkeeping."""
        tokens = np.asarray(self.shards[number].mapped())
        return tokens, _windows(tokens, self.sequence + 1)

    def starts(self, samples: np.ndarray | range) -> np.ndarray:
        """Where samples [rows], ascending, begin in the stream of all training tokens (int64 [rows])."""
        wanted = np.asarray(samples, np.int64)
        parts = [np.empty(0, np.int64)]
        chunks, first = np.unique(wanted // CHUNK, return_index=True)
        for number, inside in zip(chunks.tolist(), np.split(wanted, first[1:]), strict=False):
            kept, chunk = self._chunk
            if kept != number:
                chunk = self._places(number * CHUNK, CHUNK)
                self._chunk = (number, chunk)
            parts.append(chunk[inside - number * CHUNK])
        return np.concatenate(parts)

    def _places(self, first: int, count: int) -> np.ndarray:
        if self.mixture is None:
            samples = np.arange(first, first + count, dtype=np.int64)
            return sample_windows(samples, self.windows, self.seed) * self.sequence
        source, draw = self.mixture.places(first, count)
        places = np.empty(count, dtype=np.int64)
        for number in np.unique(source):
            name, here = self.mixture.names[number], source == number
            shards, ends = self.sources[name]
            window = sample_windows(draw[here], int(ends[-1]), self.seed, name)
            which = np.searchsorted(ends, window, side="right")
            first_window = np.concatenate([[0], ends])[which]
            places[here] = self.begins[shards[which]] + (window - first_window) * self.sequence
        return places

    def samples_of(self, shard: int, first: int, last: int, samples: int) -> list[int]:
        """Which of the run's first ``samples`` samples predict any of the tokens ``first`` … ``last`` of shard number
        ``shard``, ascending: the inverse of ``starts``. None do where they are left over after the last whole window.
        """
        name, source, begin, before, here, windows = "", 0, int(self.begins[shard]), 0, self.windows, self.windows
        if self.mixture is not None:
            name, begin = self.shards[shard].name, 0
            shards, ends = self.sources[name]
            at, source = int(np.searchsorted(shards, shard)), self.mixture.names.index(name)
            before, windows = int(ends[at - 1]) if at else 0, int(ends[-1])
            here = int(ends[at]) - before
        found = set()
        # A window predicts the tokens after its first one, and the one that follows it.
        for window in range(
            max(0, (begin + first - 1) // self.sequence), min(here, (begin + last - 1) // self.sequence + 1)
        ):
            for epoch in count():
                draw = window_sample(before + window, epoch, windows, self.seed, name)
                sample = draw if self.mixture is None else self.mixture.sample(source, draw)
                if sample is None or sample >= samples + BLOCK:  # draws of one block may be in any order
                    break
                found.add(sample)
        return sorted(sample for sample in found if sample < samples)

    def read(self, starts: np.ndarray) -> np.ndarray:
        """sequence + 1 tokens from each start on [rows, sequence + 1]."""
        size = self.sequence + 1
        windows = np.empty((len(starts), size), dtype=self.dtype)
        shards = np.searchsorted(self.ends, starts, side="right")
        for number in set(shards.tolist()):
            rows = np.flatnonzero(shards == number)
            offsets = starts[rows] - self.begins[number]
            _, view = self._mapped(number)
            inside = offsets < len(view)
            if not inside.all():
                for row in rows[~inside]:
                    windows[row] = self._across(int(starts[row]), size)
                rows, offsets = rows[inside], offsets[inside]
            windows[rows] = view[offsets]
        return windows

    def _across(self, start: int, count: int) -> np.ndarray:
        """``count`` tokens that cross from one shard to the next."""
        parts = []
        shard = int(np.searchsorted(self.ends, start, side="right"))
        while count > 0:
            offset = start - int(self.begins[shard])
            part = self._mapped(shard)[0][offset : offset + count]
            parts.append(part)
            start, count, shard = start + len(part), count - len(part), shard + 1
        return np.concatenate(parts)

    def epochs(self, samples: int) -> dict[str, float]:
        """How often each source will have been read after ``samples`` samples; "all" when there is no mixture."""
        if self.mixture is None:
            return {"all": samples / self.windows}
        drawn = self.mixture.drawn(samples)
        return {name: drawn[name] / int(ends[-1]) for name, (_, ends) in self.sources.items() if drawn[name]}

    def shares(self, samples: int) -> list[SourceShare]:
        """Before and after the mixture: per source its tokens and share of them, its share of ``samples`` samples, and
        how often it is read; the most read first."""
        windows = {name: int(ends[-1]) for name, (_, ends) in self.sources.items()}
        drawn = self.mixture.drawn(samples) if self.mixture else {}
        whole = max(1, sum(windows.values()))
        rows = [
            SourceShare(
                name=name,
                tokens=size * self.sequence,
                before=size / whole,
                after=drawn.get(name, 0) / samples if self.mixture else size / whole,
                epochs=drawn.get(name, 0) / max(1, size) if self.mixture else samples / whole,
            )
            for name, size in windows.items()
        ]
        return sorted(rows, key=lambda row: (-row.after, row.name))

    def summary(self, samples: int) -> list[str]:
        """Lines for people: how ``samples`` samples divide among the sources, and what they repeat too often."""
        epochs, lines = self.epochs(samples), []
        if self.mixture is not None:
            lines.append(f"  {'source':<24} {'tokens':>8}  of all  of the samples  epochs")
            lines += [
                f"  {row.name:<24} {human(row.tokens):>8}  {row.before:>6.1%}  {row.after:>14.1%}  {row.epochs:>6.3g}"
                for row in self.shares(samples)
            ]
        repeated = {name: count for name, count in epochs.items() if count > WORTHWHILE_EPOCHS}
        if repeated:
            worst = ", ".join(f"{name} {count:.3g} epochs" for name, count in repeated.items())
            lines.append(f"warning: text read more than {WORTHWHILE_EPOCHS} times teaches little more: {worst}")
        return lines


def _windows(data: np.ndarray, size: int) -> np.ndarray:
    """Every run of ``size`` tokens within one shard [places, size], without copying."""
    return (
        np.lib.stride_tricks.sliding_window_view(data, size) if len(data) >= size else np.empty((0, size), data.dtype)
    )


def _sources(shards: Sequence[Shard], sequence: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """name → its shards' numbers, and how many windows there are up to the end of each. No window crosses shards."""
    numbers: dict[str, list[int]] = {}
    for number, shard in enumerate(shards):
        numbers.setdefault(shard.name, []).append(number)
    return {
        name: (np.array(own), np.cumsum([max(0, shards[number].tokens - 1) // sequence for number in own]))
        for name, own in numbers.items()
    }
