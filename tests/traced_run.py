"""A run made by hand: curated documents in two files, tokenized by the real code, with the settings of its training."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet
from small import SMALL

from altiplano.execution.local import InProcess
from altiplano.recipe.load import load_recipe
from altiplano.records import StageManifest
from altiplano.stages.run import recipe_toml
from altiplano.tokens.encode import encode_documents
from altiplano.tokens.tokenizer import Tokenizer

RECIPE = [*SMALL, "batch.sequence_length=16", "batch.tokens=64", "batch.total_tokens=1280"]


@dataclass(frozen=True)
class Made:
    """A curated document."""

    text: str
    group: str = "web.en"
    split: str = "train"

    @property
    def id(self) -> str:
        return hashlib.sha256(f"{self.group}{self.text}".encode()).hexdigest()[:32]


def make_run(folder: Path, tokenizer: Tokenizer, files: Sequence[Sequence[Made]], settings: Sequence[str] = ()) -> Path:
    """A run of these documents, file by file; those with an empty split are dropped ones."""
    (folder / "curate" / "documents").mkdir(parents=True)
    for number, file in enumerate(files):
        rows = [row(made, number, place) for place, made in enumerate(file)]
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"curate/documents/part-{number:05d}.parquet")
    manifest(folder, "curate", {})
    (folder / "tokenize" / "tokenizer").mkdir(parents=True)
    tokenizer.save(folder / "tokenize" / "tokenizer")
    encode_documents(folder / "curate", folder / "tokenize" / "tokenizer", folder / "tokenize", InProcess())
    manifest(folder, "tokenize", {"curate": "hash of curate"})
    recipe = load_recipe("quickstart", [*RECIPE, *settings])
    (folder / "recipe.toml").write_text(recipe_toml(recipe))
    return folder


def row(made: Made, file: int, place: int) -> dict[str, object]:
    domain, _, language = made.group.partition(".")
    about = {"id": made.id, "text": made.text, "source": f"source-{domain}", "domain": domain, "language": language}
    url = f"https://example.org/{file}/{place}" if domain == "web" else ""
    size = len(made.text.encode())
    return {**about, "url": url, "split": made.split, "words": 1, "bytes": size, "keep": bool(made.split)}


def manifest(
    folder: Path, stage: str, inputs: dict[str, str], recipe: dict[str, object] | None = None, steps: int = 0
) -> None:
    (folder / stage).mkdir(exist_ok=True)
    StageManifest(
        stage=stage,
        version="0",
        recipe=recipe or {},
        inputs=inputs,
        outputs={},
        counts={"steps": steps},
        hash=f"hash of {stage}",
    ).write(folder / stage / "manifest.json")


def occurrences(pattern: bytes, text: bytes) -> list[int]:
    """Where ``pattern`` stands in ``text``, overlapping, by looking at every place."""
    return [at for at in range(len(text) - len(pattern) + 1) if text[at : at + len(pattern)] == pattern]
