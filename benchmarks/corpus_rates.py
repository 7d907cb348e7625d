"""What curation and tokenisation take on one core, a step at a time: the rates of ``altiplano plan --stage corpus``.

    python benchmarks/corpus_rates.py small --set corpus.root=FOLDER --out src/altiplano/planning/data/corpus_rates.json

Curates the recipe's corpus once, in this process, and books the processor time (user + system) of every shard task
under its step. Reading and extraction are then timed by themselves, per domain and in both modes of extraction;
annotation is what is left of reading. Libraries and models are warmed up first, since a worker loads them once for
thousands of shards.
"""

import argparse
import json
import platform
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import altiplano
from altiplano.corpus import curation
from altiplano.corpus.deduplication.survivors import COPIES
from altiplano.corpus.extensions import Extensions
from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.readers.listing import plan
from altiplano.corpus.readers.raw import RawDocument
from altiplano.corpus.readers.read import read
from altiplano.execution.local import InProcess
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import CorpusConfig
from altiplano.records import Audit
from altiplano.tokens.encode import encode_documents, sample_texts
from altiplano.tokens.tokenizer import Tokenizer

STEPS = {
    "annotate_shard": "read",
    "_sample": "fingerprints",
    "_filter": "fingerprints",
    "write_fingerprints": "fingerprints",
    "write_edges": "duplicates",
    "_clusters": "duplicates",
    "_write_copies": "duplicates",
    "_judge": "duplicates",
    "_without_copies": "duplicates",
    "_candidates": "models",
    "_train": "models",
    "_score": "perplexity",
    "_rank": "perplexity",
    "_places": "split",
    "_part": "split",
    "_write_held": "split",
    "_write_seen": "split",
    "_drop": "split",
    "_write": "publish",
    "_tally": "publish",
    "_encode": "tokenise",
    "_join": "tokenise",
}
"""The step that a task's function belongs to."""


def name_of(work: Any) -> str:
    """Of the function that a task calls; a step that writes columns is wrapped in one that stores them."""
    while isinstance(work, partial):
        work = work.keywords.get("work", work.func)
    return str(work.__name__)


class Booked(InProcess):
    """Books processor seconds of every task by step, and those between tasks, of the process that deals them out, by
    the step that they come after."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.parent: defaultdict[str, float] = defaultdict(float)
        self.last, self.before = time.process_time(), "listing"

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        name = name_of(work)
        for task in tasks:
            self.book()
            outcome = list(super().run(work, [task]))
            now = time.process_time()
            self.seconds[STEPS[name]] += now - self.last
            self.last, self.before = now, name
            yield from outcome

    def book(self) -> None:
        """The parent's time until now."""
        now = time.process_time()
        self.parent[self.before] += now - self.last
        self.last = now


def extraction(corpus: CorpusConfig, mode: str) -> dict[str, dict[str, float]]:
    """Per domain: bytes on disk, raw and of text, and seconds of reading and of extraction."""
    found: dict[str, dict[str, float]] = {}
    for task in plan(corpus):
        names = ("disk_bytes", "reading", "raw_bytes", "text_bytes", "extraction")
        book = found.setdefault(task.source.domain, dict.fromkeys(names, 0.0))
        book["disk_bytes"] += task.size
        begun = time.process_time()
        for record in read(task, {}):
            book["reading"] += time.process_time() - begun
            begun = time.process_time()
            if isinstance(record, RawDocument):
                book["raw_bytes"] += record.size
                book["text_bytes"] += len(extract(record, mode).encode())
            book["extraction"] += time.process_time() - begun
            begun = time.process_time()
        book["reading"] += time.process_time() - begun
    return found


def measure(corpus: CorpusConfig, vocabulary: int, sample_bytes: int, folder: Path) -> dict[str, Any]:
    few = tuple(source.model_copy(update={"max_documents": 30}) for source in corpus.sources)
    curation.curate(corpus.model_copy(update={"sources": few}), 0, folder / "warm", workers=1)
    engine, steps, done = Booked(), folder / "curate" / "steps", folder / "curate"
    audit = curation._steps(corpus, 0, done, steps, engine, Extensions())
    audit.write(done / "audit.json")
    modes = {mode: extraction(corpus, mode) for mode in ("quality", "hybrid")}
    used = modes[corpus.extraction.html]
    engine.seconds["annotation"] = engine.seconds.pop("read") - sum(
        book["reading"] + book["extraction"] for book in used.values()
    )
    Tokenizer.train(sample_texts(done, sample_bytes), vocabulary).save(done)
    shards = encode_documents(done, done, folder / "tokens", engine)
    tokens: Counter[str] = Counter()
    for shard in shards:
        tokens[shard.domain] += shard.tokens
    sides = {"annotated": steps.glob("shard-*.parquet"), "published": (done / "documents").glob("*.parquet")}
    return {
        "yields": {domain: yields_of(domain, used[domain], audit, tokens[domain]) for domain in sorted(used)},
        "extraction": {
            mode: {domain: book["reading"] + book["extraction"] for domain, book in books.items()}
            for mode, books in modes.items()
        },
        "seconds": dict(engine.seconds),
        "parent_seconds_per_document": parent_rates(corpus, folder),
        "files": {name: sum(path.stat().st_size for path in paths) for name, paths in sides.items()},
    }


def yields_of(domain: str, read: dict[str, float], audit: Audit, tokens: int) -> dict[str, int]:
    kept = [row for row in audit.kept if row.domain == domain]
    dropped = [row for row in audit.dropped if row.domain == domain]
    return {
        "disk_bytes": int(read["disk_bytes"]),
        "raw_bytes": int(read["raw_bytes"]),
        "text_bytes": sum(row.bytes for row in [*kept, *dropped]),
        "documents": sum(row.documents for row in [*kept, *dropped]),
        "copies": sum(row.documents for row in dropped if row.reason in COPIES),
        "kept_documents": sum(row.documents for row in kept),
        "kept_bytes": sum(row.bytes for row in kept),
        "tokens": tokens,
    }


def parent_rates(corpus: CorpusConfig, folder: Path) -> dict[str, float]:
    """Seconds that the process which deals out the tasks works for each document after each step: the slope from one to
    nine copies of the sources that are quickest to read, the median of five. All else of curation runs in parallel."""
    found: dict[str, list[float]] = {}
    some = [source for source in corpus.sources if source.domain == "code"]
    for again in range(5):
        books, documents = [], []
        for times in (1, 9):
            sources = [s.model_copy(update={"name": f"{s.name}-{n}"}) for n in range(times) for s in some]
            engine, done = Booked(), folder / f"parent-{again}-{times}"
            several = corpus.model_copy(update={"sources": tuple(sources)})
            audit = curation._steps(several, 0, done, done / "steps", engine, Extensions())
            engine.book()
            books.append(engine.parent)
            documents.append(audit.raw.documents)
        for name in books[1]:
            slope = (books[1][name] - books[0][name]) / (documents[1] - documents[0])
            found.setdefault(name, []).append(slope)
    return {name: max(median(slopes), 0.0) for name, slopes in sorted(found.items())}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe")
    options.add_argument("--set", action="append", default=[], dest="overrides")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    recipe = load_recipe(given.recipe, given.overrides)
    with tempfile.TemporaryDirectory(prefix="altiplano-") as temporary:
        found = measure(recipe.corpus, recipe.model.vocab_size, recipe.tokenizer.sample_bytes, Path(temporary))
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
