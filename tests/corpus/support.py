"""What several tests of curation share: the samples, small corpora, and readers of results."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pyarrow.parquet as pq

from altiplano.corpus.readers.listing import plan
from altiplano.corpus.readers.raw import BadRecord, RawDocument
from altiplano.corpus.readers.read import read
from altiplano.recipe.quality import ProseLimits, QualityConfig
from altiplano.recipe.schema import CorpusConfig, HeldoutConfig, SourceConfig

SAMPLES = Path(__file__).parents[2] / "samples"

SOURCES = (
    SourceConfig(name="web", domain="web", format="warc", path="web/*.warc.gz"),
    SourceConfig(name="academic", domain="academic", format="latex", path="academic/*.tex"),
    SourceConfig(name="markdown", domain="reference", format="text", path="reference/*.md"),
    SourceConfig(name="glossary", domain="reference", format="jsonl", path="reference/*.jsonl"),
    SourceConfig(name="code", domain="code", format="code", path="code"),
)


def samples_corpus(**changes: object) -> CorpusConfig:
    return CorpusConfig(**{"root": SAMPLES, "sources": SOURCES, **changes})  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, str]:
    """Every file's hash, by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def split(records):
    records = list(records)
    return [r for r in records if isinstance(r, RawDocument)], [r for r in records if isinstance(r, BadRecord)]


def web_record(
    url: str, body: bytes, kind: str = "text/html", status: str = "200 OK", length: int | None = None
) -> bytes:
    http = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n".encode() + body
    head = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:x>\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
    head += f"WARC-Target-URI: {url}\r\nContent-Type: application/http; msgtype=response\r\n"
    return gzip.compress(
        (head + f"Content-Length: {length or len(http)}\r\n\r\n").encode() + http + b"\r\n\r\n", mtime=0
    )


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def documents(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("documents/*.parquet")) for row in pq.read_table(path).to_pylist()]


def audit_of(folder: Path) -> dict:
    return json.loads((folder / "audit.json").read_text(encoding="utf-8"))


def small(tmp_path: Path, texts: dict[str, str], **changes) -> CorpusConfig:
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    source = SourceConfig(name="notes", domain="web", format="text", path="*.txt")
    return CorpusConfig(**{"root": tmp_path, "sources": (source,), **changes})


ESSAY = (SAMPLES / "essays" / "en.md").read_text(encoding="utf-8")


def essays(language):
    return (SAMPLES / "essays" / f"{language}.md").read_text(encoding="utf-8").split("\n# ")


def lines(path, texts):
    path.write_text("".join(json.dumps({"text": text, "path": f"{i}.md"}) + "\n" for i, text in enumerate(texts)))


def corpus(root, **source) -> CorpusConfig:
    return CorpusConfig(
        root=root, sources=(SourceConfig(**{"name": "s", "domain": "web", "format": "text", **source}),)
    )


def everything(one: CorpusConfig):
    return split(record for task in plan(one) for record in read(task))


def make_corpus(folder: Path, **changes: object) -> CorpusConfig:
    """Twenty good pages of text and one of every kind of trouble."""
    folder.mkdir()
    for i in range(20):
        words = " ".join(f"word{(i * 37 + j * j) % 1000}" for j in range(300))
        (folder / f"good{i}.txt").write_text(f"The page number {i} has these words: {words}.")
    (folder / "cut.txt.gz").write_bytes(gzip.compress(os.urandom(5000))[:3000])
    (folder / "binary.txt").write_bytes(b"\0\1\2" * 100)
    (folder / "latin.txt").write_bytes(("Œuvre complète et déjà vu. " * 20).encode("cp1252"))
    tar(folder / "t.tar.gz", {"../../escape.txt": b"x", "ok.txt": b"inside the archive " * 30})
    anything = {name: 0 if name.startswith("min") else 1e9 for name in ProseLimits.model_fields}
    quality = QualityConfig(
        min_characters=10, min_language_score=0.0, perplexity_drop=0.0, prose=ProseLimits(**anything)
    )
    source = SourceConfig(name="s", domain="web", format="text", path="*")
    return CorpusConfig(
        root=folder, sources=(source,), quality=quality, heldout=HeldoutConfig(min_documents=1), **changes
    )
