"""How much of an output stands word for word in the training text."""

import numpy as np

WINDOW = 8
"""Tokens per indexed window: shorter runs are not looked for."""


class TrainingIndex:
    """Hashes of all windows of the training tokens, sorted. A false match has a chance of about 1e-12 per window."""

    def __init__(self, tokens: np.ndarray):
        self.hashes = np.unique(window_hashes(tokens))

    def longest_run(self, tokens: list[int]) -> tuple[int, int]:
        """Where the longest run of ``tokens`` that the index knows begins, and its length; (0, 0) for none of 8."""
        hashes = window_hashes(np.asarray(tokens, dtype=np.int64))
        if not len(hashes) or not len(self.hashes):
            return 0, 0
        places = np.searchsorted(self.hashes, hashes).clip(max=len(self.hashes) - 1)
        best, run, start = 0, 0, 0
        for place, known in enumerate(self.hashes[places] == hashes):
            run = run + 1 if known else 0
            if run > best:
                best, start = run, place - run + 1
        return start, best + WINDOW - 1 if best else 0

    def share(self, tokens: list[int]) -> float:
        """Share of the windows of ``tokens`` that the index knows; of fewer than 8 tokens, 0."""
        hashes = window_hashes(np.asarray(tokens, dtype=np.int64))
        if not len(hashes) or not len(self.hashes):
            return 0.0
        places = np.searchsorted(self.hashes, hashes).clip(max=len(self.hashes) - 1)
        return float((self.hashes[places] == hashes).mean())


def window_hashes(tokens: np.ndarray) -> np.ndarray:
    """One 64-bit polynomial hash per window of ``WINDOW`` tokens."""
    count = len(tokens) - WINDOW + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    mixed = (tokens.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    total = np.zeros(count, np.uint64)
    for place in range(WINDOW):
        total = total * np.uint64(0xBF58476D1CE4E5B9) + mixed[place : place + count]
    return total


def repetitions(tokens: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How often each of rows [rows, width], of 8 tokens or more, stands in ``tokens``, whole [rows]."""
    width = rows.shape[1]
    hashes = window_hashes(tokens)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    counts = np.zeros(len(rows), np.int64)
    for number, row in enumerate(rows):
        wanted = window_hashes(row[:WINDOW])[0]
        low, high = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
        places = order[low:high]
        places = places[places + width <= len(tokens)]
        for start in range(0, len(places), 4096):
            some = places[start : start + 4096]
            counts[number] += (tokens[some[:, None] + np.arange(width)] == row).all(axis=1).sum()
    return counts


def longest_common_run(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Per row, the longest run of tokens that two rows [rows, tokens] have in common, anywhere."""
    best = np.zeros(len(left), np.int64)
    run = np.zeros((len(left), right.shape[1] + 1), np.int64)
    for place in range(left.shape[1]):
        same = left[:, place, None] == right
        run[:, 1:] = np.where(same, run[:, :-1] + 1, 0)
        best = np.maximum(best, run.max(axis=1))
    return best
