"""One shard task: raw files in, a table of annotated documents out. A document's fate is decided later."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from altiplano.corpus import files
from altiplano.corpus.annotations import personal_data
from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.statistics import statistics
from altiplano.corpus.extraction.extracting import cut, extract
from altiplano.corpus.extras import extra
from altiplano.corpus.sources.listing import Task
from altiplano.corpus.sources.raw import Bad, Raw
from altiplano.corpus.sources.reading import read
from altiplano.recipe.schema import Corpus

EXAMPLE = 300
"""Characters of an example in the audit."""

COLUMNS = {
    "id": "string", "text": "string", "source": "string", "domain": "string",
    "url": "string", "language": "string", "language_score": "float64", "code_language": "string",
    "characters": "int64", "words": "int64", "symbols": "float64", "repeated_lines": "float64",
    "repeated_words": "float64", "word_length": "float64", "line_length": "float64", "personal_data": "int64",
    "bytes": "int64", "text_hash": "string", "document_hash": "string",
}  # fmt: skip
"""``text_hash`` is equal for texts that differ in white space only; ``document_hash`` is that of the whole document,
which all pieces of a long one share."""


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.parquet"


def counts_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.json"


def personal_path(folder: Path, number: int) -> Path:
    return folder / f"personal-{number:05d}.parquet"


def annotate_shard(task: Task, corpus: Corpus, salt: str, folder: Path) -> None:
    """Writes the shard's documents, the hashes of its personal data and, last, its counts."""
    rows: list[dict[str, Any]] = []
    removed: list[tuple[str, str, str]] = []
    bad: Counter[str] = Counter()
    lost = 0
    examples: dict[str, str] = {}
    raw_documents = raw_bytes = 0
    found: Counter[str] = Counter()
    for record in read(task):
        if isinstance(record, Bad):
            bad[record.reason] += 1
            lost += record.lost
            examples.setdefault(record.reason, record.example[:EXAMPLE])
            continue
        raw_documents += 1
        raw_bytes += record.size
        for row, values in _documents(record, task, corpus):
            rows.append(row)
            found.update(kind for kind, _ in values)
            if corpus.remove_personal_data:
                removed += [(kind, personal_data.hash_value(kind, value, salt), row["id"]) for kind, value in values]
    rows.sort(key=lambda row: row["id"])
    arrow = extra("pyarrow")
    schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in COLUMNS.items()])
    files.write_table(shard_path(folder, task.number), arrow.Table.from_pylist(rows, schema))
    names = ("kind", "hash", "document")
    removed.sort()
    columns = {name: arrow.array([item[at] for item in removed], arrow.string()) for at, name in enumerate(names)}
    files.write_table(personal_path(folder, task.number), arrow.table(columns))
    counts = {
        "source": task.source.name,
        "documents": raw_documents,
        "bytes": raw_bytes,
        "lost": lost,
        "bad": [{"reason": reason, "count": bad[reason], "example": examples[reason]} for reason in sorted(bad)],
        "personal_data": dict(sorted(found.items())),
    }
    files.write_json(counts_path(folder, task.number), counts)


def _documents(raw: Raw, task: Task, corpus: Corpus) -> list[tuple[dict[str, Any], list[tuple[str, str]]]]:
    """The raw document's pieces (one, unless it is very long) and the personal data found in each."""
    name, domain = task.source.name, task.source.domain
    text = extract(raw, corpus.extraction.html)
    whole = _text_hash(text)
    found = []
    for number, piece in enumerate(cut(text, corpus.quality.max_characters) if text.strip() else [""]):
        language, score = ("code", 1.0) if domain == "code" else language_of(piece)
        redacted, spans = personal_data.redact(piece, language)
        kept = redacted if corpus.remove_personal_data else piece
        place = raw.place if number == 0 else f"{raw.place}/{number}"
        row = {
            "id": hashlib.sha256(f"{name}\0{place}".encode("utf-8", "surrogatepass")).hexdigest()[:32],
            "text": kept,
            "source": name,
            "domain": domain,
            "url": raw.url.encode("utf-8", "replace").decode("utf-8"),
            "language": language,
            "language_score": score,
            "code_language": raw.code_language if domain == "code" else "",
            **statistics(kept),
            "personal_data": len(spans),
            "bytes": len(kept.encode("utf-8")),
            "text_hash": _text_hash(kept),
            "document_hash": whole,
        }
        found.append((row, [(span.kind, piece[span.start : span.end]) for span in spans]))
    return found


def _text_hash(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode("utf-8")).hexdigest()[:32]
