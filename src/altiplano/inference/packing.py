"""Rows of tokens packed into windows of one length, each a document of its own that sees no other."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from altiplano.tokens.loader import IGNORED, Batch


@dataclass(frozen=True)
class Place:
    """Where a row lies: tokens [start, end) of a window."""

    window: int
    start: int
    end: int


def pack(sizes: Sequence[int], room: int) -> list[Place]:
    """A place for each row, in the window whose room it fills best, the longest first. Raises ValueError when a row is
    longer than a window."""
    places = [Place(0, 0, 0)] * len(sizes)
    free: list[tuple[int, int]] = []
    """Room that is left, and the window, the least room first."""
    windows = 0
    for number in sorted(range(len(sizes)), key=lambda at: -sizes[at]):
        size = sizes[number]
        if size > room:
            raise ValueError(f"a row of {size:,} tokens is longer than the model's {room:,}")
        at = bisect_left(free, (size, 0))
        if at < len(free):
            left, window = free.pop(at)
        else:
            left, window, windows = room, windows, windows + 1
        places[number] = Place(window, room - left, room - left + size)
        insort(free, (left - size, window))
    return places


def windows_of(rows: Sequence[np.ndarray], targets: Sequence[np.ndarray], places: Sequence[Place], room: int) -> Batch:
    """The windows that ``places`` name, with what stands there; nothing is predicted in the rest of them."""
    count = max((place.window for place in places), default=-1) + 1
    tokens = np.zeros((count, room), dtype=np.int64)
    wanted = np.full((count, room), IGNORED, dtype=np.int64)
    document = np.zeros((count, room), dtype=np.int64)
    for row, target, place in zip(rows, targets, places, strict=True):
        here = place.window, slice(place.start, place.end)
        tokens[here], wanted[here] = row, target
        if place.end < room:
            document[place.window, place.end] += 1  # another begins
    return Batch(*(torch.from_numpy(one) for one in (tokens, wanted, document.cumsum(axis=1))))
