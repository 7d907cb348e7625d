"""Benchmark items that stand in the training text, found as curation finds them, and whether the model answers them
better than the others."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.item import Item, Task
from altiplano.evaluation.statistics import Z, clustered_ratio
from altiplano.optional_imports import require
from altiplano.overfitting.verdict import LEAST, judged, untold
from altiplano.progress import track
from altiplano.records import OverfittingTest
from altiplano.records.overfitting import TestName
from altiplano.tokens.shards import Shard
from altiplano.tokens.tokenizer import Tokenizer

NAME: TestName = "contamination"

Question = tuple[str, str]
"""What is asked, and the right answer."""


@dataclass(frozen=True)
class Found:
    """Questions that stand in the text that was searched."""

    held: set[Question]
    sought: set[Question]
    """They say enough to be looked for."""


@dataclass(frozen=True)
class Searched:
    """How much of the training text is searched: the first documents of each shard, by its share."""

    documents: Sequence[int]
    """Of each shard."""
    bytes: int
    of_bytes: int


def contamination_tests(
    tasks: Sequence[Task],
    answers: Sequence[Sequence[Answer]],
    shards: Sequence[Shard],
    tokenizer: Tokenizer,
    most_bytes: int,
    margin: float,
    removed: Sequence[str],
) -> list[OverfittingTest]:
    """For each task the bits per byte by which right answers of items in the training text are predicted better.

    ``answers`` are those of each task; ``most_bytes`` of training text are searched. ``removed``: the benchmarks that
    curation took out of the corpus. Raises InputError without the packages of curation.
    """
    require("the search for benchmark items in training text")
    searched = what_to_search(shards, most_bytes)
    questions = list(dict.fromkeys(_question(task, item) for task in tasks for item in task.items))
    found = find_questions(questions, _texts(shards, searched, tokenizer))
    return [_test(task, some, found, searched, margin, removed) for task, some in zip(tasks, answers, strict=True)]


def what_to_search(shards: Sequence[Shard], most_bytes: int) -> Searched:
    total = sum(shard.bytes for shard in shards)
    documents, size = [], 0
    for shard in shards:
        ends = np.cumsum(shard.document_bytes)
        share = most_bytes * shard.bytes / max(1, total)
        taken = len(shard) if total <= most_bytes else int(np.searchsorted(ends, share, side="right"))
        documents.append(taken)
        size += int(ends[taken - 1]) if taken else 0
    return Searched(documents, size, total)


def _texts(shards: Sequence[Shard], searched: Searched, tokenizer: Tokenizer) -> Iterator[str]:
    places = [
        (shard, number) for shard, taken in zip(shards, searched.documents, strict=True) for number in range(taken)
    ]
    for shard, number in track(places, "benchmark items in training text", len(places)):
        yield tokenizer.decode(shard.document(number).tolist())


def find_questions(questions: Sequence[Question], texts: Iterable[str]) -> Found:
    """Which of the questions stand in the texts, by the index and the search that curation drops documents by."""
    from altiplano.corpus.decontamination.benchmark_items import item_of
    from altiplano.corpus.decontamination.index import build_index, load_index
    from altiplano.corpus.decontamination.search import found_in

    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder)
        items = [item_of({"question": question, "answer": answer}) for question, answer in questions]
        numbers = build_index(((item, 0) for item in items), index)
        held = {hit.item for hits in found_in(index, texts) for hit in hits}
        sought = load_index(index).items["sought"].tolist()
        load_index.cache_clear()  # its files go
    pairs = [*zip(questions, numbers, strict=True)]
    return Found({one for one, number in pairs if number in held}, {one for one, number in pairs if sought[number]})


def _question(task: Task, item: Item) -> Question:
    """Without the examples before it, and the right answer."""
    prompt = item.prompt or (item.choices[0].context if item.choices else "")
    if task.few_shot:
        prompt = prompt.rstrip().rsplit("\n\n", 1)[-1]
    right = item.choices[item.gold].continuation if item.choices and item.gold is not None else ""
    return prompt.strip(), (right or next(iter(item.references), "")).strip()


def _test(
    task: Task, answers: Sequence[Answer], found: Found, searched: Searched, margin: float, removed: Sequence[str]
) -> OverfittingTest:
    asked = {item.id: _question(task, item) for item in task.items}
    held = {name for name, question in asked.items() if question in found.held}
    sought = {name for name, question in asked.items() if question in found.sought}
    sample = f"{len(held):,} of {len(sought):,} items stand in training text"
    notes = [f"searched {sum(searched.documents):,} documents, {searched.bytes:,} of {searched.of_bytes:,} bytes"]
    if short := len(asked) - len(sought):
        notes.append(f"{short:,} items say too little to be looked for")
    if removed:
        notes.append(f"curation had dropped documents with items of {', '.join(removed)}")
    note = "; ".join(notes)
    if sought and not held and searched.bytes == searched.of_bytes:
        # nothing that could have been learnt by heart
        return OverfittingTest(test=NAME, name=task.name, verdict="not shown", sample=sample, note=note)
    told = [answer for answer in answers if answer.gold_bytes and answer.item in sought]
    dirty = [answer for answer in told if answer.item in held]
    clean = [answer for answer in told if answer.item not in held]
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
