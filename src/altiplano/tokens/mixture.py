"""Which source sample number i comes from: exact shares, found from i alone.

A phase of the mixture is cut into blocks of BLOCK samples. How many of them each source gives is rounded so that every
block settles the debts of those before it: after any number of blocks a source has had its share to within one sample.
The order inside a block is a keyed permutation. Nothing is remembered between samples, so the mixture is the same for
every layout and wherever a run resumes.

Which window of the training tokens is sample number i: a keyed permutation per epoch.

A sample is addressed by one global index, so the order never depends on how many devices read it or where a run was
interrupted: the whole state of the data is the number of samples taken.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from altiplano.errors import InputError
from altiplano.recipe.batch import MixturePhase

BLOCK = 256
BLOCKS_PER_CYCLE = 4096
PARTS = BLOCK * BLOCKS_PER_CYCLE
"""Shares are whole numbers of 2^20 parts, so that a cycle of blocks comes out even and can begin again."""


class Mixture:
    """The phases of a recipe's mixture over the sources that exist; ``names`` fixes their numbers."""

    def __init__(self, phases: Sequence[MixturePhase], windows: Mapping[str, int], sequence: int, seed: int):
        """``windows`` is the number of windows of ``sequence`` tokens that each source holds.

        Raises InputError when the phases name a source that is not there.
        """
        self.names = sorted(windows)
        firsts = [-(-phase.from_tokens // sequence) for phase in phases]  # the first sample to begin there or later
        ends = [*firsts[1:], None]
        self.phases: list[_Phase] = []
        drawn = np.zeros(len(self.names), dtype=np.int64)
        for phase, first, end in zip(phases, firsts, ends, strict=True):
            shares = _shares(phase.weights, windows, phase.temperature)
            parts = _parts(np.array([shares.get(name, 0.0) for name in self.names]))
            self.phases.append(_Phase(first, end, parts, drawn, seed))
            drawn = self.phases[-1].drawn_at_end

    def places(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Of samples first … first + count - 1: the source's number, and which draw from that source it is (int64)."""
        sources, draws = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        while count > 0:
            phase = self.phases[bisect_right([phase.first for phase in self.phases], first) - 1]
            block, skip = divmod(first - phase.first, BLOCK)
            source, draw = phase.block(block)
            sources.append(source[skip : skip + count])
            draws.append(draw[skip : skip + count])
            first, count = first + len(sources[-1]), count - len(sources[-1])
        return np.concatenate(sources), np.concatenate(draws)

    def sample(self, source: int, draw: int) -> int | None:
        """The sample that draw number ``draw`` of source number ``source`` is: the inverse of ``places``. None when no
        phase draws so often from it."""
        for phase in self.phases:
            block = phase.block_of(source, draw)
            if block is not None:
                sources, draws = phase.block(block)
                return phase.first + block * BLOCK + int(np.flatnonzero((sources == source) & (draws == draw))[0])
        return None

    def drawn(self, samples: int) -> dict[str, int]:
        """How many of the run's first ``samples`` samples come from each source."""
        phase = self.phases[bisect_right([phase.first for phase in self.phases], samples) - 1]
        block, rest = divmod(samples - phase.first, BLOCK)
        counts = phase.drawn(block) + np.bincount(phase.block(block)[0][:rest], minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))


class _Phase:
    """Samples first … end - 1 (end None: for ever) in blocks; the last block of a phase may be short."""

    def __init__(self, first: int, end: int | None, parts: np.ndarray, before: np.ndarray, seed: int):
        self.first, self.parts, self.before, self.seed = first, parts, before, seed
        # What each source has given after so many blocks of a cycle.
        self.cycle = np.zeros((BLOCKS_PER_CYCLE + 1, len(parts)), dtype=np.int64)
        for block in range(BLOCKS_PER_CYCLE):
            self.cycle[block + 1] = _apportion(parts, (block + 1) * BLOCK, self.cycle[block])
        self.length: int | None = None
        self.drawn_at_end = before
        if end is not None:
            self.length = end - first
            cycles, rest = divmod(self.length, PARTS)
            self.drawn_at_end = before + cycles * parts + _apportion(parts, rest, self.cycle[rest // BLOCK])

    def drawn(self, blocks: int) -> np.ndarray:
        """Draws from each source, since the run began, before block ``blocks`` of this phase."""
        if self.length is not None and blocks * BLOCK > self.length:
            return self.drawn_at_end
        cycles, block = divmod(blocks, BLOCKS_PER_CYCLE)
        return self.before + cycles * self.parts + self.cycle[block]

    def block_of(self, source: int, draw: int) -> int | None:
        """Number of the block that holds draw number ``draw`` of ``source``; None when no block of this phase does."""
        ended = self.length is not None and draw >= self.drawn_at_end[source]
        if draw < self.before[source] or ended or not self.parts[source]:
            return None
        cycle, rest = divmod(draw - int(self.before[source]), int(self.parts[source]))
        block = cycle * BLOCKS_PER_CYCLE + bisect_right(self.cycle[:, source], rest) - 1
        # a short last block may round otherwise than a whole one
        return block if self.length is None else min(block, (self.length - 1) // BLOCK)

    def block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Source and draw of each sample of one block, in order."""
        drawn = self.drawn(number)
        quotas = self.drawn(number + 1) - drawn
        source = np.repeat(np.arange(len(quotas)), quotas)
        draw = drawn[source] + np.arange(len(source)) - (np.cumsum(quotas) - quotas)[source]
        key = hashlib.sha256(f"mixture/{self.seed}/{self.first}/{number}".encode()).digest()
        order = permute(np.arange(len(source)), len(source), int.from_bytes(key[:8], "big"))
        return source[order], draw[order]


def _apportion(parts: np.ndarray, samples: int, given: np.ndarray) -> np.ndarray:
    """Whole numbers that sum to ``samples`` and are nowhere below ``given``, each within one of its exact share:
    rounded down, then one more for those with the largest remainder."""
    due = parts * samples  # in samples / PARTS; at most 2^40
    drawn = np.maximum(due // PARTS, given)
    most_owed = np.argsort(drawn * PARTS - due, kind="stable")
    drawn[most_owed[: samples - int(drawn.sum())]] += 1
    return drawn


def _parts(weights: np.ndarray) -> np.ndarray:
    """Weights as whole parts that sum to PARTS; whatever has a weight gets at least one."""
    exact = weights / weights.sum() * PARTS
    parts = np.maximum(np.floor(exact).astype(np.int64), weights > 0)
    left = PARTS - int(parts.sum())
    if left > 0:
        parts[np.argsort(parts - exact, kind="stable")[:left]] += 1
    else:
        parts[np.argmax(parts)] += left  # what raising the smallest to one part took
    return parts


def _shares(weights: Mapping[str, float], windows: Mapping[str, int], temperature: float) -> dict[str, float]:
    """The weight of each source. A domain shares its own among the languages that have none of their own, by size to
    the power 1 / temperature (Devlin et al. 2018, multilingual BERT): small languages are read more often."""
    shares: dict[str, float] = {}
    for name, weight in weights.items():
        if name in windows:
            members = [name]
        else:
            members = [source for source in windows if source.partition(".")[0] == name]
            if not members:
                known = [*sorted({source.partition(".")[0] for source in windows}), *sorted(windows)]
                raise InputError(f"mixture.weights: {name!r} is not in the training shards; known: {', '.join(known)}")
            members = [source for source in members if source not in weights]
            if not members:
                raise InputError(f"mixture.weights: every language of {name!r} has a weight of its own; drop {name!r}")
        sizes = {member: windows[member] ** (1 / temperature) for member in members if windows[member]}
        if not sizes:
            raise InputError(f"mixture.weights: {name!r} holds less than one sequence of tokens; drop it or add text")
        for member, size in sizes.items():
            shares[member] = weight * size / sum(sizes.values())
    return shares


ROUNDS = 6


def permute(index: np.ndarray, size: int, key: int) -> np.ndarray:
    """A pseudo-random permutation of 0 … size - 1 applied to ``index`` (int64).

    A Feistel network on the smallest even number of bits, with cycle walking (Black and Rogaway 2002, "Ciphers with
    arbitrary finite domains"): numbers that land outside are sent through again.
    """
    return _walk(index, size, key, backwards=False)


def unpermute(place: np.ndarray, size: int, key: int) -> np.ndarray:
    """The inverse of ``permute``: the index (int64) that it sends to each place."""
    # The network run backwards with its halves exchanged; numbers that land outside walk back along the same cycle.
    return _walk(place, size, key, backwards=True)


def _walk(start: np.ndarray, size: int, key: int, *, backwards: bool) -> np.ndarray:
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = [int.from_bytes(hashlib.sha256(f"{key}/{r}".encode()).digest()[:8], "big") for r in range(ROUNDS)]
    place = start.astype(np.uint64)
    outside = np.ones(len(place), dtype=bool)
    while outside.any():
        there = place[outside]
        place[outside] = (
            _swapped(_feistel(_swapped(there, half), half, keys[::-1]), half)
            if backwards
            else _feistel(there, half, keys)
        )
        outside = place >= np.uint64(size)
    return place.astype(np.int64)


def _swapped(place: np.ndarray, half: int) -> np.ndarray:
    """With its two halves exchanged."""
    return ((place & np.uint64((1 << half) - 1)) << np.uint64(half)) | (place >> np.uint64(half))


def _feistel(place: np.ndarray, half: int, keys: list[int]) -> np.ndarray:
    mask = np.uint64((1 << half) - 1)
    left, right = place >> np.uint64(half), place & mask
    for key in keys:
        # splitmix64's finisher as the round function
        mixed = right + np.uint64(key)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        left, right = right, left ^ ((mixed ^ (mixed >> np.uint64(31))) & mask)
    return (left << np.uint64(half)) | right


def sample_windows(samples: np.ndarray, windows: int, seed: int, source: str = "") -> np.ndarray:
    """Windows (int64) of ``samples`` (int64), each epoch of ``windows`` samples in an order of its own.

    ``source`` names what the windows are of when a run has several such orders.
    """
    epochs = samples // windows
    chosen = np.empty(len(samples), dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        chosen[here] = permute(samples[here] % windows, windows, _key(seed, source, int(epoch)))
    return chosen


def window_sample(window: int, epoch: int, windows: int, seed: int, source: str = "") -> int:
    """The sample that reads ``window`` in ``epoch``: the inverse of ``sample_windows``."""
    index = unpermute(np.array([window]), windows, _key(seed, source, epoch))
    return epoch * windows + int(index[0])


def _key(seed: int, source: str, epoch: int) -> int:
    name = f"sampler/{seed}/{source}/{epoch}" if source else f"sampler/{seed}/{epoch}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
