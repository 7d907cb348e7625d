"""Documents set aside for evaluation, per domain × language, by hash of their text.

A document whose hash falls into the lowest ``fraction`` of all hashes is held out: the same one in every run, however
the corpus grows. A group with fewer than ``min_documents`` of them is filled up with its next lowest hashes. This
happens after deduplication, so that no held-out document has a near duplicate in training; the pieces of a long
document share its hash and stay together.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import Columns, group_names
from altiplano.recipe.schema import HeldoutConfig


def place(document_hashes: NDArray[Any]) -> NDArray[np.float64]:
    """Where each hash lies among all hashes, from 0 to 1."""
    return np.array([int(value[:16], 16) / 2.0**64 for value in document_hashes])


class Chooser:
    """Finds, part by part, up to which place each domain × language is held out. Remembers a few places of each."""

    def __init__(self, settings: HeldoutConfig):
        self.settings = settings
        self.lowest: dict[str, NDArray[np.float64]] = {}
        self.highest: dict[str, float] = {}

    def add(self, places: NDArray[np.float64], groups: NDArray[Any]) -> None:
        """Where the hashes of kept documents lie, and their groups."""
        for group in np.unique(groups.astype(str)) if len(groups) else ():
            here = places[groups == group]
            merged = np.sort(np.concatenate((self.lowest.get(group, here[:0]), here)))
            self.lowest[str(group)] = merged[: 2 * self.settings.min_documents]
            self.highest[str(group)] = max(self.highest.get(group, 0.0), float(here.max()))

    def remembered(self) -> Columns:
        """The few places that stand for all that were added: added to another chooser they lead to the same choice."""
        places, groups = [np.zeros(0)], [np.zeros(0, object)]
        for group, lowest in self.lowest.items():
            last = [self.highest[group]] if self.highest[group] > lowest[-1] else []
            places.append(np.append(lowest, last))
            groups.append(np.full(len(places[-1]), group, object))
        return {"place": np.concatenate(places), "group": np.concatenate(groups)}

    def places(self) -> dict[str, float]:
        """The largest held-out place per group; groups below twice ``min_documents`` have none."""
        found = {}
        for group, lowest in self.lowest.items():
            if len(lowest) < 2 * self.settings.min_documents:
                continue
            largest = max(self.settings.fraction, float(lowest[self.settings.min_documents - 1]))
            if largest < self.highest[group]:  # else all are pieces of one document
                found[group] = largest
        return found


def held_out(columns: Columns, places: dict[str, float]) -> NDArray[np.bool_]:
    """Documents whose hash is at most the largest place of their domain × language."""
    names, at = np.unique(group_names(columns).astype(str), return_inverse=True)
    largest = np.array([places.get(str(name), -1.0) for name in names])[at] if len(names) else np.zeros(0)
    return place(columns["document_hash"]) <= largest
