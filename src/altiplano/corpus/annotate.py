"""One shard task: raw files in, a table of annotated documents out. Nothing is filtered here."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from altiplano.corpus.annotations import code_quality, text_statistics
from altiplano.corpus.annotations.language import Language, language_of
from altiplano.corpus.annotations.language_tags import declared_language
from altiplano.corpus.annotations.scripts import primary
from altiplano.corpus.annotations.word_lists import Listed, read_word_lists
from altiplano.corpus.extensions import Extensions
from altiplano.corpus.extraction.extract import cut, extract
from altiplano.corpus.fatal_documents import DEATHS, FatalDocuments
from altiplano.corpus.pii import detect
from altiplano.corpus.readers.listing import ShardTask
from altiplano.corpus.readers.raw import BadRecord, FileRead, NoTextError, RawDocument, Record, taken_of
from altiplano.corpus.readers.read import read
from altiplano.corpus.reserved_sites import sites_of
from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.execution.document_limits import (
    TookTooLongError,
    TookTooMuchMemoryError,
    bytes_for,
    document_limits,
    seconds_for,
)
from altiplano.optional_imports import extra
from altiplano.recipe.schema import CorpusConfig
from altiplano.recipe.units import human_bytes

CHUNK_BYTES = 32 * 2**20
"""Text held at a time."""

TOO_SLOW = "took too long to extract and annotate"
TOO_LARGE = "took too much memory to extract and annotate"
FATAL = "ended the process that extracted and annotated it"

EXAMPLE = 300
"""Characters of an example in the audit."""

ADDRESS = re.compile(r"\s*+(?:(?:[a-z][a-z0-9+.-]{0,20}:)?//|www\.)", re.IGNORECASE)
TRACKING = re.compile(r"(utm_\w+|fbclid|gclid|sessionid|phpsessid)=", re.IGNORECASE)

Found = list[tuple[dict[str, Any], list[tuple[str, str]]]]
"""Rows, one of each piece of a document, and the kinds and values of personal data in it."""

CODE = Language("code", 1.0, "code", 0.0)

COLUMNS = {
    "id": "string", "text": "string", "source": "string", "domain": "string", "url": "string",
    "language": "string", "language_score": "float32", "second_language": "string", "english": "float32",
    "declared": "string", "code_language": "string", "characters": "int64", "words": "int64",
    **dict.fromkeys((*text_statistics.COLUMNS, *code_quality.COLUMNS, "personal_data"), "float32"),
    "personal_spans": "int64", "bytes": "int64", "text_hash": "string", "document_hash": "string",
    "url_hash": "string",
}  # fmt: skip
"""``text_hash`` is equal for texts that differ in white space only; ``document_hash`` is that of the whole document,
which all pieces of a long one share."""

RESERVED = (
    *COLUMNS,
    "perplexity",
    "classifier",
    "bucket",
    "cluster",
    "copy_of",
    "keep",
    "reason",
    "split",
    "shard",
    "row",
)
"""Names that no annotator may use."""


def column_types(extensions: Extensions) -> dict[str, str]:
    """Columns of a shard and their Arrow types, with those of the caller's annotators. Raises InputError for a name
    that is taken."""
    return COLUMNS | extensions.columns(RESERVED)


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.parquet"


def counts_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.json"


def personal_path(folder: Path, number: int) -> Path:
    return folder / f"personal-{number:05d}.parquet"


def annotate_shard(
    task: ShardTask,
    corpus: CorpusConfig,
    salt: str,
    folder: Path,
    extensions: Extensions,
    sites: Path | None = None,
    run: int = 0,
) -> None:
    """Write the shard's documents, the hashes of its personal data and, last, its counts. ``sites`` is the file of
    ``reserved_sites``; ``run`` that of ``fatal_documents``."""
    counts = Counts(task.source.name)
    removed: list[tuple[str, str, str]] = []
    arrow, schema = extra("pyarrow"), _schema(extensions)
    records = read(task, extensions.readers, sites_of(sites, task.source.name) if task.source.robots else None)
    with FatalDocuments(folder / f"at-{task.number:05d}", run) as fatal:
        chunks = _chunks(records, task, corpus, salt, extensions, counts, removed, fatal)
        tables = (arrow.Table.from_pylist(rows, schema) for rows in chunks)
        files.write_tables(shard_path(folder, task.number), schema, tables)
    _write_personal(personal_path(folder, task.number), sorted(removed))
    files.write_json(counts_path(folder, task.number), counts.as_json())


def skip_shard(task: ShardTask, reason: str, folder: Path, extensions: Extensions) -> None:
    """Write an empty shard in place of one that cannot be read, and why: it counts as a lost record."""
    files.write_tables(shard_path(folder, task.number), _schema(extensions), [])
    _write_personal(personal_path(folder, task.number), [])
    counts = Counts(task.source.name, given_up_bytes=task.size)
    counts.add_bad(BadRecord(f"shard skipped: {reason}", ", ".join(task.files)[:EXAMPLE]))
    files.write_json(counts_path(folder, task.number), counts.as_json())


def _schema(extensions: Extensions) -> Any:
    arrow = extra("pyarrow")
    return arrow.schema([(name, getattr(arrow, kind)()) for name, kind in column_types(extensions).items()])


def _write_personal(path: Path, removed: list[tuple[str, str, str]]) -> None:
    arrow = extra("pyarrow")
    names = ("kind", "hash", "document")
    columns = {name: arrow.array([item[at] for item in removed], arrow.string()) for at, name in enumerate(names)}
    files.write_table(path, arrow.table(columns))


@dataclass
class Counts:
    """What a shard task read, and what it could not."""

    source: str
    documents: int = 0
    bytes: int = 0
    lost: int = 0
    given_up_bytes: int = 0
    """Size of the raw files of a shard that was skipped: how many records they hold is unknown."""
    unpacked: int = 0
    """Bytes that came out of the files; each is of a document, left out, lost or framing."""
    taken: Counter[str] = field(default_factory=Counter)
    framing: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    bad_bytes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    personal_data: Counter[str] = field(default_factory=Counter)

    def add_bad(self, record: BadRecord) -> None:
        self.bad[record.reason] += record.records
        self.bad_bytes[record.reason] += record.size
        if record.lost:
            self.lost += record.records
        self.taken["lost" if record.lost else "left_out"] += taken_of(record)
        self.examples.setdefault(record.reason, _printable(record.example)[:EXAMPLE])

    def add_document(self, document: RawDocument) -> None:
        self.documents += 1
        self.bytes += document.size
        self.taken["documents"] += taken_of(document)

    def give_up(self, document: RawDocument, bad: BadRecord) -> None:
        """A document that was read, and then lost or left out."""
        self.documents -= 1
        self.bytes -= document.size
        self.taken["documents"] -= taken_of(document)
        self.add_bad(replace(bad, size=document.size, taken=taken_of(document)))

    def end_file(self, file: FileRead) -> None:
        self.unpacked += file.unpacked
        self.framing.update(file.framing)

    def balance(self) -> dict[str, Any]:
        """Where the bytes went that came out of the files."""
        parts = {name: self.taken[name] for name in ("documents", "left_out", "lost")}
        return {"unpacked": self.unpacked, **parts, "framing": dict(sorted((+self.framing).items()))}

    def as_json(self) -> dict[str, Any]:
        bad = [
            {
                "reason": reason,
                "count": self.bad[reason],
                "bytes": self.bad_bytes[reason],
                "example": self.examples[reason],
            }
            for reason in sorted(self.bad)
        ]
        plain: dict[str, Any] = {
            "source": self.source,
            "documents": self.documents,
            "bytes": self.bytes,
            "lost": self.lost,
        }
        plain["given_up_bytes"] = self.given_up_bytes
        plain["balance"] = self.balance()
        return {**plain, "bad": bad, "personal_data": dict(sorted(self.personal_data.items()))}


def _chunks(
    records: Iterable[Record],
    task: ShardTask,
    corpus: CorpusConfig,
    salt: str,
    extensions: Extensions,
    counts: Counts,
    removed: list[tuple[str, str, str]],
    fatal: FatalDocuments,
) -> Iterator[list[dict[str, Any]]]:
    """Rows of about CHUNK_BYTES of text at a time, each ordered by id."""
    lists = word_lists(corpus)
    rows: list[dict[str, Any]] = []
    size = 0
    for record in records:
        if isinstance(record, BadRecord):
            counts.add_bad(record)
            continue
        if isinstance(record, FileRead):
            counts.end_file(record)
            continue
        counts.add_document(record)
        found = _found(record, task, corpus, lists, extensions, fatal)
        if isinstance(found, BadRecord):
            counts.give_up(record, found)
            continue
        for row, values in found:
            rows.append(row)
            size += row["bytes"]
            counts.personal_data.update(kind for kind, _ in values)
            if corpus.remove_personal_data:
                removed += [(kind, detect.hash_value(kind, value, salt), row["id"]) for kind, value in values]
        if size >= CHUNK_BYTES:
            yield sorted(rows, key=lambda row: row["id"])
            rows, size = [], 0
    if rows:
        yield sorted(rows, key=lambda row: row["id"])


def _found(
    raw: RawDocument,
    task: ShardTask,
    corpus: CorpusConfig,
    lists: dict[str, Listed],
    extensions: Extensions,
    fatal: FatalDocuments,
) -> Found | BadRecord:
    """``_documents`` of the record, or why it is dropped, alone: whatever it raises, takes or ends says nothing of the
    others."""

    def lost(reason: str, why: str) -> BadRecord:
        return BadRecord(reason, f"{raw.place}: {why}")

    if raw.place in fatal:
        return lost(FATAL, f"{DEATHS} times")
    length = max(len(raw.text), len(raw.packed))
    seconds, memory = seconds_for(length), bytes_for(length)
    with fatal.at(raw.place):
        try:
            with document_limits(seconds, memory):
                return _documents(raw, task, corpus, lists, extensions)
        except TookTooLongError:
            return lost(TOO_SLOW, f"over {seconds:.0f} s of processor time")
        except TookTooMuchMemoryError:
            return lost(TOO_LARGE, f"over {human_bytes(memory)}, or more than there was")
        except NoTextError as error:
            return error.record
        except InputError:  # a library is missing: of all documents
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.filename is not None:  # a model or list on the disk
                raise
            return lost(f"cannot be annotated ({type(error).__name__})", str(error))


def _documents(
    raw: RawDocument, task: ShardTask, corpus: CorpusConfig, lists: dict[str, Listed], extensions: Extensions
) -> Found:
    """The raw document's pieces (one, unless it is very long) and the personal data found in each."""
    name, domain = task.source.name, task.source.domain
    text = extract(raw, corpus.extraction.html)
    whole = _text_hash(text)
    declared = declared_language(raw.place, raw.url)
    code_language = raw.code_language if domain == "code" else ""
    pieces = list(cut(text, corpus.quality.max_characters)) if text.strip() else [""]
    found = []
    for number, piece in enumerate(pieces):
        known = CODE if domain == "code" else language_of(piece)
        redacted, spans = detect.redact(piece, known.code)
        kept = redacted if corpus.remove_personal_data else piece
        place = raw.place if number == 0 else f"{raw.place}/{number}"
        row = {
            "id": hashlib.sha256(f"{name}\0{place}".encode("utf-8", "surrogatepass")).hexdigest()[:32],
            "text": kept,
            "source": name,
            "domain": domain,
            "url": _printable(raw.url),
            "language": known.code,
            "language_score": known.score,
            "second_language": known.second,
            "english": known.english,
            "declared": declared,
            "code_language": code_language,
            **measured(kept, known.code, code_language, lists, extensions, whole=len(pieces) == 1),
            "personal_data": 1000 * len(spans) / max(len(piece), 1),
            "personal_spans": len(spans),
            "document_hash": whole,
            "url_hash": url_hash(raw.url) if domain == "web" else "",
        }
        found.append((row, [(span.kind, piece[span.start : span.end]) for span in spans]))
    return found


def word_lists(corpus: CorpusConfig) -> dict[str, Listed]:
    return read_word_lists({name: corpus.root / path for name, path in corpus.quality.word_lists.items()})


def measured(
    text: str,
    language: str,
    code_language: str,
    lists: dict[str, Listed],
    extensions: Extensions,
    *,
    whole: bool,
) -> dict[str, Any]:
    """The columns that follow from the text itself."""
    return {
        **text_statistics.statistics(
            text, language, lists.get(language) or lists.get(primary(language)) or lists.get("*")
        ),
        **code_quality.code_quality(text, code_language, whole),
        "bytes": len(text.encode("utf-8")),
        "text_hash": _text_hash(text),
        **extensions.annotate(text),
    }


def _printable(text: str) -> str:
    """File names may hold any bytes; those that are not UTF-8 are written ``\\udce9``, so that names stay distinct."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _text_hash(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode("utf-8")).hexdigest()[:32]


def url_hash(url: str) -> str:
    """Equal for addresses that differ in case of the host, protocol, fragment, tracking or a slash at the end.

    Empty for what is no address: numbers of rows and paths in projects are the same in many files.
    """
    if not ADDRESS.match(url):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as a bracket that begins no IPv6 address
        return hashlib.sha256(url.encode("utf-8", "backslashreplace")).hexdigest()[:32]
    query = "&".join(part for part in parts.query.split("&") if part and not TRACKING.match(part))
    whole = f"{parts.netloc.lower().removeprefix('www.')}{parts.path.rstrip('/')}?{query}"
    return hashlib.sha256(whole.encode("utf-8", "backslashreplace")).hexdigest()[:32]
