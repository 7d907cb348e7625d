"""Which items of tasks stand in the text that a model was trained on.

They are looked for exactly as curation looks for ``corpus.benchmarks`` (``corpus.decontamination``).
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from altiplano.benchmarks.item import Contamination, Task
from altiplano.errors import InputError
from altiplano.optional_imports import require
from altiplano.progress import track

SEARCH = "the search for benchmark items in training text"


def find_contamination(tasks: Sequence[Task], texts: Iterable[str]) -> dict[str, Contamination]:
    """Which items stand in the texts, by task. One pass over the texts, at the speed of curation's own search.

    Raises InputError without the packages of curation.
    """
    require(SEARCH)
    from altiplano.corpus.decontamination.benchmark_items import item_of
    from altiplano.corpus.decontamination.index import build_index, load_index
    from altiplano.corpus.decontamination.search import found_in

    asked = [(number, item) for number, task in enumerate(tasks) for item in task.items]
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder)
        numbers = build_index(((item_of(item.row), number) for number, item in asked), index)
        held = {hit.item for hits in found_in(index, texts) for hit in hits}
        sought = load_index(index).items["sought"].tolist()
        load_index.cache_clear()  # its files go
    found: list[set[str]] = [set() for _ in tasks]
    unsought: list[set[str]] = [set() for _ in tasks]
    for (task, item), number in zip(asked, numbers, strict=True):
        if number in held:
            found[task].add(item.id)
        elif not sought[number]:
            unsought[task].add(item.id)
    return {
        task.name: Contamination(frozenset(found[number]), frozenset(unsought[number]))
        for number, task in enumerate(tasks)
    }


def training_texts(curated: Path) -> Iterator[str]:
    """The documents that are training text; not the dropped and held-out ones, which are in the same files.
    ``curated`` is the folder of a finished curate stage (runs/NAME/curate).

    Raises InputError, before a text is asked for, when it has no documents.
    """
    parts = sorted((curated / "documents").glob("part-*.parquet"))
    if not parts or not (curated / "audit.json").exists():
        raise InputError(f"{curated} is no finished curate folder: name a run whose curate stage is finished")
    return (text for part in track(parts, "contamination", len(parts)) for text in _training(part))


def _training(part: Path) -> Iterator[str]:
    from altiplano.execution import files

    for batch in files.read_batches(part, ["text", "split"]):
        rows = batch.to_pydict()
        yield from (text for text, split in zip(rows["text"], rows["split"], strict=True) if split == "train")
