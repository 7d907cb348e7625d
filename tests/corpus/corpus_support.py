"""What several tests of curation share: where the samples are, and a recipe section for them."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

from altiplano.corpus.readers.raw import BadRecord, RawDocument
from altiplano.recipe.schema import CorpusConfig, SourceConfig

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
