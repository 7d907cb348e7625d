"""Whether the model answers benchmark items that stand in its training text better than the others."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.item import Contamination, Task
from altiplano.evaluation.statistics import Z, clustered_ratio
from altiplano.overfitting.verdict import LEAST, judged, untold
from altiplano.records import OverfittingTest
from altiplano.records.overfitting import TestName

NAME: TestName = "contamination"


def contamination_tests(
    tasks: Sequence[Task],
    answers: Sequence[Sequence[Answer]],
    contamination: Mapping[str, Contamination],
    margin: float,
    removed: Sequence[str],
) -> list[OverfittingTest]:
    """For each task the bits per byte by which right answers of items in the training text are predicted better.

    ``answers`` are those of each task. ``removed``: the benchmarks that curation took out of the corpus.
    """
    return [
        _test(task, some, contamination[task.name], margin, removed) for task, some in zip(tasks, answers, strict=True)
    ]


def _test(
    task: Task, answers: Sequence[Answer], held: Contamination, margin: float, removed: Sequence[str]
) -> OverfittingTest:
    sought = len(task.items) - len(held.uninformative)
    sample = f"{len(held.found):,} of {sought:,} items stand in training text"
    notes = [f"searched {held.files:,} of {held.of_files:,} files of training text"]
    if held.uninformative:
        notes.append(f"{len(held.uninformative):,} items say too little to be looked for")
    if removed:
        notes.append(f"curation had dropped documents with items of {', '.join(removed)}")
    note = "; ".join(notes)
    if sought and not held.found and held.files == held.of_files:
        # nothing that could have been learnt by heart
        return OverfittingTest(test=NAME, name=task.name, verdict="not shown", sample=sample, note=note)
    told = [answer for answer in answers if answer.gold_bytes and answer.item not in held.uninformative]
    dirty = [answer for answer in told if answer.item in held.found]
    clean = [answer for answer in told if answer.item not in held.found]
    if len(dirty) < LEAST or len(clean) < LEAST:
        few = f"{len(clean):,} clean items and {len(dirty):,} in training text have right answers to score, of each"
        return untold(NAME, task.name, sample, f"{few} at least {LEAST} are needed; {note}")
    ours, theirs = (
        clustered_ratio([a.gold_bits for a in side], [a.gold_bytes for a in side], [a.cluster for a in side])
        for side in (clean, dirty)
    )
    value = ours.value - theirs.value
    half = Z * math.hypot(ours.standard_error, theirs.standard_error)
    accuracy = [float(np.mean([answer.score for answer in side])) for side in (clean, dirty)]
    note = f"{task.metric} {accuracy[0]:.3f} clean, {accuracy[1]:.3f} in training text; {note}"
    return judged(NAME, task.name, value, value - half, value + half, margin, sample, note)
