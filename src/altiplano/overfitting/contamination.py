"""Benchmark items that stand in the training text, found as curation finds them, and whether the model answers them
better than the others."""

import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

import numpy as np

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.item import Item, Task
from altiplano.benchmarks.statistics import Z, clustered_ratio
from altiplano.optional_imports import require
from altiplano.overfitting.verdict import LEAST, judged, untold
from altiplano.progress import track
from altiplano.recipe.schema import CorpusConfig
from altiplano.records import OverfittingTest
from altiplano.records.overfitting import TestName
from altiplano.tokens.shards import Shard
from altiplano.tokens.tokenizer import Tokenizer

NAME: TestName = "contamination"

STRETCH = 600
"""Words of a piece of a document that holds an item: a search names the first item that it finds."""
ROUNDS = 50
"""Searches of a piece for further items."""


Question = tuple[str, str]
"""What is asked, and the right answer."""


@dataclass(frozen=True)
class Found:
    """Questions that stand in the text that was searched."""

    held: set[Question]
    sought: set[Question]
    """Long enough to be looked for."""
    capped: bool
    """There may be more."""


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
    """Which of the questions stand in the texts, by the index and the search that curation drops documents by.

    A search names one item of a document, so documents that hold one are searched again, in pieces, for the others.
    """
    left = list(questions)
    held: set[Question] = set()
    sought: set[Question] | None = None
    for _ in range(ROUNDS):
        hits, long_enough = _search(left, texts)
        if sought is None:
            sought = {left[at] for at in long_enough}
            texts = [piece for text, _ in hits for piece in _pieces(text)]
        else:
            texts = [text for text, _ in hits]
        new = {at for _, at in hits}
        held.update(left[at] for at in new)
        left = [question for at, question in enumerate(left) if at not in new]
        if not new or not left:
            return Found(held, sought, False)
    return Found(held, sought or set(), True)


def _search(questions: Sequence[Question], texts: Iterable[str]) -> tuple[list[tuple[str, int]], list[int]]:
    """Texts that hold a question, each with the first one's number; and which are long enough to be looked for."""
    from altiplano.corpus.decontamination.index import load_index, write_index
    from altiplano.corpus.decontamination.search import found_in

    if not questions:
        return [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "items"
        root.mkdir()
        for number, (question, answer) in enumerate(questions):  # a file each: its number is the question's
            row = {"question": question, "answer": answer}
            (root / f"{number:08d}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
        corpus = CorpusConfig.model_construct(root=root, sources=(), benchmarks=("*.jsonl",))
        index = write_index(corpus, Path(folder))
        assert index is not None
        items = load_index(index).items
        long_enough = sorted({int(one["benchmark"]) for one in items if one["sought"]})
        searched, shown = tee(texts)
        found = zip(shown, found_in(index, searched), strict=True)
        hits = [(text, hit.benchmark) for text, hit in found if hit is not None]
        load_index.cache_clear()  # its files go
    return hits, long_enough


def _pieces(text: str) -> Iterator[str]:
    """The whole, and stretches of it that overlap by half."""
    yield text
    words = text.split(" ")
    if len(words) > STRETCH:
        for start in range(0, len(words), STRETCH // 2):
            yield " ".join(words[start : start + STRETCH])


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
        notes.append(f"{short:,} items are too short to be looked for")
    if found.capped:
        notes.append("there may be more")
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
