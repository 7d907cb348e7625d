"""One shard task: raw files in, a table of annotated documents out. A document's fate is decided later."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from altiplano.corpus import files
from altiplano.corpus.annotations import code_quality, personal_data, statistics
from altiplano.corpus.annotations.declared import declared_language
from altiplano.corpus.annotations.language import Language, language_of
from altiplano.corpus.annotations.word_lists import Listed, read_word_lists
from altiplano.corpus.extraction.extracting import cut, extract
from altiplano.corpus.extras import extra
from altiplano.corpus.sources.listing import Task
from altiplano.corpus.sources.raw import Bad, Raw
from altiplano.corpus.sources.reading import read
from altiplano.recipe.schema import Corpus

EXAMPLE = 300
"""Characters of an example in the audit."""

CODE = Language("code", 1.0, "code", 0.0)

COLUMNS = {
    "id": "string", "text": "string", "source": "string", "domain": "string", "url": "string",
    "language": "string", "language_score": "float32", "second_language": "string", "english": "float32",
    "declared": "string", "code_language": "string", "characters": "int64", "words": "int64",
    **dict.fromkeys((*statistics.COLUMNS, *code_quality.COLUMNS, "personal_data"), "float32"),
    "personal_spans": "int64", "bytes": "int64", "text_hash": "string", "document_hash": "string",
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
    lists = read_word_lists({name: corpus.root / path for name, path in corpus.quality.word_lists.items()})
    for record in read(task):
        if isinstance(record, Bad):
            bad[record.reason] += 1
            lost += record.lost
            examples.setdefault(record.reason, record.example[:EXAMPLE])
            continue
        raw_documents += 1
        raw_bytes += record.size
        for row, values in _documents(record, task, corpus, lists):
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


def _documents(
    raw: Raw, task: Task, corpus: Corpus, lists: dict[str, Listed]
) -> list[tuple[dict[str, Any], list[tuple[str, str]]]]:
    """The raw document's pieces (one, unless it is very long) and the personal data found in each."""
    name, domain = task.source.name, task.source.domain
    text = extract(raw)
    whole = _text_hash(text)
    declared = declared_language(raw.place, raw.url)
    code_language = raw.code_language if domain == "code" else ""
    pieces = list(cut(text, corpus.quality.max_characters)) if text.strip() else [""]
    found = []
    for number, piece in enumerate(pieces):
        known = CODE if domain == "code" else language_of(piece)
        redacted, spans = personal_data.redact(piece, known.code)
        kept = redacted if corpus.remove_personal_data else piece
        place = raw.place if number == 0 else f"{raw.place}/{number}"
        row = {
            "id": hashlib.sha256(f"{name}\0{place}".encode("utf-8", "surrogatepass")).hexdigest()[:32],
            "text": kept,
            "source": name,
            "domain": domain,
            "url": raw.url.encode("utf-8", "replace").decode("utf-8"),
            "language": known.code,
            "language_score": known.score,
            "second_language": known.second,
            "english": known.english,
            "declared": declared,
            "code_language": code_language,
            **statistics.statistics(kept, known.code, lists.get(known.code) or lists.get("*")),
            **code_quality.code_quality(kept, code_language, len(pieces) == 1),
            "personal_data": 1000 * len(spans) / max(len(piece), 1),
            "personal_spans": len(spans),
            "bytes": len(kept.encode("utf-8")),
            "text_hash": _text_hash(kept),
            "document_hash": whole,
        }
        found.append((row, [(span.kind, piece[span.start : span.end]) for span in spans]))
    return found


def _text_hash(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode("utf-8")).hexdigest()[:32]
