"""Which items of tasks stand in the text that a model was trained on.

They are looked for exactly as curation looks for ``corpus.benchmarks`` (``corpus.decontamination``), in the training
documents that a finished curate stage kept: one pass over their text.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from altiplano.benchmarks.item import Task
from altiplano.corpus.decontamination.benchmark_items import item_of
from altiplano.corpus.decontamination.index import build_index, load_index
from altiplano.corpus.decontamination.search import Hit, found_in
from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.progress import track


@dataclass(frozen=True)
class Contamination:
    """Items of one task, by ``Item.id``; those that are in neither set were looked for and not found."""

    found: frozenset[str]
    """They stand in at least one training document."""
    unsought: frozenset[str]
    """They say too little to be told from ordinary text, and were not looked for."""


def contamination_of(tasks: Sequence[Task], curated: Path) -> dict[str, Contamination]:
    """By task; ``curated`` is the folder of a finished curate stage (runs/NAME/curate).

    Raises InputError when it has no documents.
    """
    parts = sorted((curated / "documents").glob("part-*.parquet"))
    if not parts or not (curated / "audit.json").exists():
        raise InputError(f"{curated} is no finished curate folder: name runs/NAME/curate of the run to look in")
    asked = [(number, item) for number, task in enumerate(tasks) for item in task.items]
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder)
        numbers = build_index(((item_of(item.row), number) for number, item in asked), index)
        held = {hit.item for part in track(parts, "contamination", len(parts)) for hit in _hits(part, index)}
        sought = load_index(index).items["sought"].tolist()
        load_index.cache_clear()  # its files go
    found: Mapping[int, set[str]] = {number: set() for number in range(len(tasks))}
    unsought: Mapping[int, set[str]] = {number: set() for number in range(len(tasks))}
    for (task, item), number in zip(asked, numbers, strict=True):
        if number in held:
            found[task].add(item.id)
        elif not sought[number]:
            unsought[task].add(item.id)
    return {
        task.name: Contamination(frozenset(found[number]), frozenset(unsought[number]))
        for number, task in enumerate(tasks)
    }


def _hits(part: Path, index: Path) -> Iterator[Hit]:
    """Of the documents that are training text; not of dropped and held-out ones, which are in the same files."""
    for batch in files.read_batches(part, ["text", "split"]):
        rows = batch.to_pydict()
        texts = (text for text, split in zip(rows["text"], rows["split"], strict=True) if split == "train")
        for hits in found_in(index, texts):
            yield from hits
