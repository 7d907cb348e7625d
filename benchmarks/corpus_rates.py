"""What curation and tokenisation take on one core, a step at a time: the rates that ``altiplano plan --stage corpus`` uses.

    python benchmarks/corpus_rates.py small --set corpus.root=FOLDER --out src/altiplano/planning/data/corpus_rates.json

Curates the recipe's corpus once, in this process, and books the processor time (user + system) of every shard task under
its step. Reading and extraction are then timed by themselves, per source and in both modes of extraction; annotation is what
is left of reading. Libraries and models are warmed up first, since a worker loads them once for thousands of shards.
"""

import argparse
import json
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import altiplano
from altiplano.corpus import curate, files
from altiplano.corpus.annotations.personal_data import salt_of
from altiplano.corpus.engine import InProcess
from altiplano.corpus.extraction.extracting import extract
from altiplano.corpus.shards import annotate_shard
from altiplano.corpus.sources.listing import plan
from altiplano.corpus.sources.raw import Raw
from altiplano.corpus.sources.reading import read
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Corpus
from altiplano.tokens.encoding import documents, sample_texts
from altiplano.tokens.tokenizer import Tokenizer

STEPS = {
    "annotate_shard": "read",
    "write_fingerprints": "fingerprints",
    "write_edges": "duplicates",
    "_train": "models",
    "_score": "perplexity",
    "_write": "publish",
    "_write_held": "split",
    "_write_seen": "split",
}
"""The step that a task's function belongs to."""


class Booked(InProcess):
    """Books processor seconds of every task by step."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        name = STEPS[work.func.__name__ if isinstance(work, partial) else work.__name__]
        for task in tasks:
            begun = time.process_time()
            outcome = list(super().run(work, [task]))
            self.seconds[name] += time.process_time() - begun
            yield from outcome


def extraction(corpus: Corpus, mode: str) -> dict[str, dict[str, float]]:
    """Per domain: raw and text bytes, and seconds of reading and of extraction."""
    found: dict[str, Counter[str]] = {}
    for task in plan(corpus):
        book = found.setdefault(task.source.domain, Counter())
        book["disk_bytes"] += task.size
        begun = time.process_time()
        for record in read(task):
            book["reading"] += time.process_time() - begun
            begun = time.process_time()
            if isinstance(record, Raw):
                book["raw_bytes"] += record.size
                book["documents"] += 1
                book["text_bytes"] += len(extract(record, mode).encode())
            book["extraction"] += time.process_time() - begun
            begun = time.process_time()
        book["reading"] += time.process_time() - begun
    return {domain: dict(book) for domain, book in found.items()}


def measure(corpus: Corpus, vocabulary: int, sample_bytes: int, folder: Path) -> dict[str, Any]:
    warm = corpus.model_copy(update={"sources": tuple(s.model_copy(update={"max_documents": 30}) for s in corpus.sources)})
    curate.curate(warm, 0, folder / "warm", workers=1)
    for task in plan(warm)[:1]:
        annotate_shard(task, warm, salt_of(0), folder / "warm-shard")
    engine, steps, done = Booked(), folder / "curate" / "steps", folder / "curate"
    begun = time.process_time()
    audit = curate._steps(corpus, 0, done, steps, engine)
    whole = time.process_time() - begun
    files.write_json(done / "audit.json", audit)
    sizes = {
        "annotated": _size(steps, "shard-*.parquet"),
        "published": _size(done / "documents", "*.parquet"),
        "fingerprints": _size(steps / "fingerprints", "*.npy"),
        "steps": _size(steps, "**/*"),
    }
    modes = {mode: extraction(corpus, mode) for mode in ("quality", "hybrid")}
    parent = whole - engine.seconds.total()
    reading = sum(book["reading"] + book["extraction"] for book in modes[corpus.extraction.html].values())
    engine.seconds["annotation"] = engine.seconds.pop("read") - reading
    tokenizer = Tokenizer.train(sample_texts(done, sample_bytes), vocabulary)
    begun = time.process_time()
    groups: dict[str, Counter[str]] = {}
    for row in documents(done):
        book = groups.setdefault(row["domain"], Counter())
        book["tokens"] += len(tokenizer.encode(row["text"])) + 2
        book["bytes"] += len(row["text"].encode())
        book["documents"] += 1
    engine.seconds["tokenise"] = time.process_time() - begun
    passed = sum(group["documents"] for group in audit["kept"]) + sum(
        row["documents"] for row in audit["dropped"] if row["reason"] in ("exact duplicate", "near duplicate", "perplexity")
    )
    return {
        "raw": audit["raw"],
        "annotated_documents": sum(group["documents"][0] for group in audit["groups"]),
        "annotated_bytes": audit["funnel"][1]["bytes"],
        "passed_documents": passed,
        "copies": sum(row["documents"] for row in audit["dropped"] if "duplicate" in row["reason"]),
        "extraction": modes,
        "kept": {domain: dict(book) for domain, book in groups.items()},
        "seconds": dict(engine.seconds),
        "parent_seconds": parent,
        "parent_seconds_per_document": parent_rate(corpus, folder),
        "files": sizes,
    }


def parent_rate(corpus: Corpus, folder: Path) -> float:
    """Seconds that the process which deals out the tasks works for each document: the slope from one to five copies of
    the sources that are quickest to read. Nothing else of curation cannot be spread."""
    some = [source for source in corpus.sources if source.domain in ("code", "reference")]
    seen = []
    for times in (1, 5):
        sources = [s.model_copy(update={"name": f"{s.name}-{n}"}) for n in range(times) for s in some]
        engine, done = Booked(), folder / f"parent-{times}"
        begun = time.process_time()
        audit = curate._steps(corpus.model_copy(update={"sources": tuple(sources)}), 0, done, done / "steps", engine)
        seen.append((time.process_time() - begun - engine.seconds.total(), audit["raw"]["documents"]))
    (less, few), (more, many) = seen
    return (more - less) / (many - few)


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe")
    options.add_argument("--set", action="append", default=[], dest="overrides")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    recipe = load_recipe(given.recipe, given.overrides)
    with tempfile.TemporaryDirectory(prefix="altiplano-") as temporary:
        found = measure(recipe.corpus, recipe.model.vocabulary, recipe.tokenizer.sample_bytes, Path(temporary))
    about = {"measured": time.strftime("%Y-%m-%d"), "altiplano": altiplano.__version__, "recipe": recipe.name}
    about["machine"] = f"{_processor()}, one core, Python {platform.python_version()}"
    text = json.dumps({**about, **found}, indent=1, sort_keys=True) + "\n"
    if given.out:
        given.out.write_text(text)
    else:
        print(text, end="")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
