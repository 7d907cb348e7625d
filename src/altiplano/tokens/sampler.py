"""Which window of the training tokens is sample number i: a keyed permutation per epoch.

A sample is addressed by one global index, so the order never depends on how many devices read it or where a run was
interrupted: the whole state of the data is the number of samples taken.
"""

import hashlib

import numpy as np

ROUNDS = 6


def permute(index: np.ndarray, size: int, key: int) -> np.ndarray:
    """A pseudo-random permutation of 0 … size - 1 applied to ``index`` (int64).

    A Feistel network on the smallest even number of bits, with cycle walking (Black and Rogaway 2002, "Ciphers with
    arbitrary finite domains"): numbers that land outside are sent through again.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = [int.from_bytes(hashlib.sha256(f"{key}/{r}".encode()).digest()[:8], "big") for r in range(ROUNDS)]
    place = index.astype(np.uint64)
    outside = np.ones(len(place), dtype=bool)
    while outside.any():
        place[outside] = _feistel(place[outside], half, keys)
        outside = place >= np.uint64(size)
    return place.astype(np.int64)


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


def _key(seed: int, source: str, epoch: int) -> int:
    name = f"sampler/{seed}/{source}/{epoch}" if source else f"sampler/{seed}/{epoch}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
