"""What several tests of curation share: where the samples are, and a recipe section for them."""

import hashlib
from pathlib import Path

from altiplano.recipe.schema import Corpus, Source

SAMPLES = Path(__file__).parents[2] / "samples"

SOURCES = (
    Source(name="web", domain="web", format="warc", path="web/*.warc.gz"),
    Source(name="academic", domain="academic", format="latex", path="academic/*.tex"),
    Source(name="markdown", domain="reference", format="text", path="reference/*.md"),
    Source(name="glossary", domain="reference", format="jsonl", path="reference/*.jsonl"),
    Source(name="code", domain="code", format="code", path="code"),
)


def samples_corpus(**changes: object) -> Corpus:
    return Corpus(**{"root": SAMPLES, "sources": SOURCES, **changes})  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, str]:
    """Every file's hash, by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
