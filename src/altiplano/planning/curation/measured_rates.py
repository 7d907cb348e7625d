"""What curation was measured to take and to yield: the numbers behind ``altiplano plan --stage corpus``.

``data/corpus_rates.json`` is written by ``benchmarks/corpus_rates.py``: processor seconds of one core, step by step. A
finished run tells its own yields.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.records import Audit, CurationCounts, ShardCounts, ShardEntry, ShardList, StageManifest
from altiplano.storage import Damaged, read_json

COMMON_CRAWL = 15e12 / (96 * 300 * 2**40)
"""Tokens of good text per byte of raw HTML: 15T from 96 crawls of 200 to 400 TiB each (FineWeb, arXiv 2406.17557)."""

FILE = Path(__file__).parents[1] / "data" / "corpus_rates.json"


@dataclass(frozen=True)
class Yield:
    """What raw files of a domain turned into. Bytes are raw (uncompressed) unless ``disk``; ``text`` is all extracted
    text, ``documents`` all documents, ``copies`` those that went as copies of others."""

    disk_bytes: float
    raw_bytes: float
    text_bytes: float
    documents: float
    copies: float
    kept_documents: float
    kept_bytes: float
    tokens: float
    origin: str = "recorded"


@dataclass(frozen=True)
class Rates:
    """Processor seconds of one core."""

    measured: str
    """Day, machine and version."""
    extraction: dict[str, dict[str, float]]
    """Reading and extraction per raw byte, by mode and domain."""
    per_text_byte: dict[str, float]
    """Of steps that look at all extracted text."""
    per_token: float
    models: float
    """Perplexity models of all groups together: their training text is bounded."""
    parent_per_document: dict[str, float]
    """Of the process that deals out the tasks, after each of them: not spread."""
    annotated: float
    published: float
    """Bytes on disk per byte of text."""
    yields: dict[str, Yield]


@cache
def recorded() -> Rates:
    """What was measured once, as recorded."""
    found = read_json(FILE)
    yields = {domain: Yield(**values) for domain, values in found["yields"].items()}
    text, tokens = (sum(getattr(one, name) for one in yields.values()) for name in ("text_bytes", "tokens"))
    extraction = {
        mode: {domain: seconds / yields[domain].raw_bytes for domain, seconds in books.items()}
        for mode, books in found["extraction"].items()
    }
    seconds = found["seconds"]
    steps = ("annotation", "fingerprints", "duplicates", "perplexity", "split", "publish")
    return Rates(
        f"{found['measured']}, {found['machine']}, Altiplano {found['altiplano']}",
        extraction,
        {step: seconds[step] / text for step in steps},
        seconds["tokenise"] / tokens,
        seconds["models"],
        found["parent_seconds_per_document"],
        found["files"]["annotated"] / text,
        found["files"]["published"] / text,
        yields,
    )


def yields_of_run(run: Path) -> dict[str, Yield]:
    """Per domain, of a run that has been curated and tokenized. Raises InputError, naming the stage, for another."""
    curate, tokenize = run / "curate", run / "tokenize"
    try:
        audit, counts = Audit.read(curate / "audit.json"), CurationCounts.read(curate / "counts.json").root
        manifest, shards = StageManifest.read(curate / "manifest.json"), ShardList.read(tokenize / "shards.json").shards
        inputs = read_json(curate / "inputs.json")
    except (OSError, Damaged) as error:
        raise InputError(
            f"--from {run}: {error}; give a run of this version that has finished curate and tokenize"
        ) from error
    try:
        return _yields(audit, counts, manifest.recipe["corpus"]["sources"], shards, inputs["sources"])
    except (KeyError, TypeError) as error:
        raise InputError(f"--from {run}: written by another version ({error} is missing); run it again") from error


def _yields(
    audit: Audit, counts: list[ShardCounts], sources: Any, shards: list[ShardEntry], inputs: Any
) -> dict[str, Yield]:
    found = {}
    for domain in sorted({source["domain"] for source in sources}):
        names = {source["name"] for source in sources if source["domain"] == domain}
        kept = [row for row in audit.kept if row.domain == domain]
        dropped = [row for row in audit.dropped if row.domain == domain]
        read = {name: sum(one.bytes for one in counts if one.source == name) for name in names}
        raw = sum(read.values())
        disk = sum(_on_disk(inputs[name], read[name]) for name in names)
        tokens = sum(shard.tokens for shard in shards if shard.domain == domain)
        if raw and tokens:
            found[domain] = Yield(
                disk,
                raw,
                sum(row.bytes for row in [*kept, *dropped]),
                sum(row.documents for row in [*kept, *dropped]),
                sum(row.documents for row in dropped if "duplicate" in row.reason),
                sum(row.documents for row in kept),
                sum(row.bytes for row in kept),
                tokens,
                "this run",
            )
    return found


def _on_disk(files: Any, raw: float) -> float:
    """Bytes of a source's files; its raw bytes where they are not listed (``python`` harvests an installation)."""
    sizes = [float(file["size"]) for file in files if isinstance(file, dict) and "size" in file]
    return sum(sizes) if len(sizes) == len(files) else raw
