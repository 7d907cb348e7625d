"""Which items of tasks stand in the text that a model was trained on.

They are looked for exactly as curation looks for ``corpus.benchmarks`` (``corpus.decontamination``).
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from altiplano.benchmarks.item import Contamination, Task
from altiplano.errors import InputError
from altiplano.optional_imports import require
from altiplano.progress import track
from altiplano.storage import listed

SEARCH = "the search for benchmark items in training text"


@dataclass(frozen=True)
class TrainingText:
    """Files of curated documents, all of them or some spread over them; training is on the documents of one split."""

    files: Sequence[Path]
    of_files: int

    def texts(self) -> Iterator[str]:
        """The documents that are training text; not the dropped and held-out ones, which are in the same files."""
        from altiplano.execution import files

        for file in track(self.files, "contamination", len(self.files)):
            for batch in files.read_batches(file, ["text", "split"]):
                rows = batch.to_pydict()
                yield from (text for text, split in zip(rows["text"], rows["split"], strict=True) if split == "train")


def training_text(curated: Path, most_bytes: int | None = None) -> TrainingText:
    """Of a finished curate stage's folder (runs/NAME/curate), of at most about ``most_bytes`` of files.

    Raises InputError when it has no documents.
    """
    files = listed(curated / "documents", "part-*.parquet")
    if not files or not (curated / "audit.json").exists():
        raise InputError(f"{curated} is no finished curate folder: name a run whose curate stage is finished")
    size = sum(file.stat().st_size for file in files)
    every = 1 if most_bytes is None else max(1, -(-size // most_bytes))
    return TrainingText(files[::every], len(files))


def find_contamination(tasks: Sequence[Task], text: TrainingText) -> dict[str, Contamination]:
    """Which items stand in the text, by task. One pass over it, at the speed of curation's own search.

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
        held = {hit.item for hits in found_in(index, text.texts()) for hit in hits}
        sought = load_index(index).items["sought"].tolist()
        load_index.cache_clear()  # its files go
    found: list[set[str]] = [set() for _ in tasks]
    uninformative: list[set[str]] = [set() for _ in tasks]
    for (task, item), number in zip(asked, numbers, strict=True):
        if number in held:
            found[task].add(item.id)
        elif not sought[number]:
            uninformative[task].add(item.id)
    return {
        task.name: Contamination(
            frozenset(found[number]), frozenset(uninformative[number]), len(text.files), text.of_files
        )
        for number, task in enumerate(tasks)
    }
