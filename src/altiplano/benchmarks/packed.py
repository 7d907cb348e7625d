"""Benchmarks during training: requests packed into windows like held-out text, so that any layout can score them.

Only losses come back, so a task whose metric needs more (what the model would say itself) is scored by the bits per
byte of its right answers, which fall long before accuracies rise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from altiplano.benchmarks.asking import answers_of, requests
from altiplano.benchmarks.item import Item, Task
from altiplano.benchmarks.scorers import scored
from altiplano.benchmarks.summary import ACCURACY, summarise
from altiplano.evaluation.perplexity import ScoreBatch, score_windows
from altiplano.inference.continuations import Continuation, Likelihood, encode
from altiplano.inference.packing import Place, pack
from altiplano.records import TaskScore
from altiplano.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class PackedTasks:
    """Tasks with the items that are asked, and their requests in windows [n, sequence + 1]. Pickled, it goes to all
    processes."""

    tasks: Sequence[tuple[Task, Sequence[Item], Sequence[Continuation]]]
    windows: np.ndarray
    places: Sequence[Place]
    """Of every request of every task, in order: whose losses are those of its continuation's tokens."""

    def scores(
        self, score: ScoreBatch, bos: int, rows: int, share: slice, reduce: Callable[[Tensor], Tensor]
    ) -> dict[str, TaskScore]:
        """Of each task; the arguments are those of ``heldout_losses``."""
        in_window: dict[int, list[int]] = {}
        for number, place in enumerate(self.places):
            in_window.setdefault(place.window, []).append(number)
        sums = torch.zeros(len(self.places), dtype=torch.float64)
        for where, losses in score_windows(score, self.windows, bos, rows, share):
            here = losses.to("cpu", torch.float64)
            for row, window in enumerate(range(where.start, where.stop)):
                for number in in_window.get(window, ()):
                    sums[number] = here[row, self.places[number].start : self.places[number].end].sum()
        logprobs = iter((-reduce(sums)).tolist())
        found = {}
        for task, items, asked in self.tasks:
            likelihoods = [Likelihood(next(logprobs), None, len(one.tokens)) for one in asked]
            if not all(math.isfinite(one.logprob) for one in likelihoods):
                continue  # weights that are no numbers: held-out text, which is scored beside this, says so
            answers = answers_of(task, items, asked, likelihoods)
            told = [scored(task, item, answer) for item, answer in zip(items, answers, strict=True)]
            found[task.name] = summarise(task, told)
        return found


def pack_tasks(tasks: Sequence[Task], tokenizer: Tokenizer, sequence: int, limit: int) -> PackedTasks:
    """``limit`` items of each task, each request in the window whose room it fills best, the longest first. Items
    without a given answer are asked at the end of training alone."""
    prepared: list[tuple[Task, Sequence[Item], Sequence[Continuation]]] = []
    for task in tasks:
        items = [item for item in task.first(limit) if item.choices]
        if items:
            asked = encode(tokenizer, True, sequence, requests(items))
            # Scoring needs neither what was not asked nor the data's other columns, and one process hands it to all.
            plain = [replace(item, row={}) for item in items]
            prepared.append((_scored_by_losses(replace(task, items=())), plain, asked))
    every = [one for _, _, asked in prepared for one in asked]
    places = pack([len(one.context) + len(one.tokens) for one in every], sequence + 1)
    windows = np.full((max((place.window for place in places), default=-1) + 1, sequence + 1), tokenizer.bos)
    for one, place in zip(every, places, strict=True):
        windows[place.window, place.start : place.end] = [*one.context, *one.tokens]
    # the loss at place i predicts token i + 1
    scored_at = [
        Place(at.window, at.start + len(one.context) - 1, at.end - 1) for one, at in zip(every, places, strict=True)
    ]
    return PackedTasks(prepared, windows, scored_at)


def _scored_by_losses(task: Task) -> Task:
    return task if task.metric.startswith(ACCURACY) else replace(task, metric="bits_per_byte")
