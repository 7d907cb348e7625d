"""What ``altiplano trace`` writes beside a run: of what its index was made."""

from typing import ClassVar

from pydantic import Field

from altiplano.records.record import FileRecord, Record


class CuratedFile(Record):
    """A file of curated documents, in the order in which they were tokenized."""

    name: str = Field(description="In curate/documents")
    documents: dict[str, int] = Field(description="Of the split, by domain.language")


class TraceIndex(FileRecord):
    """``trace/SPLIT/index.json``: of which token shards the index is, and how it is divided into parts."""

    CHECKED: ClassVar[bool] = True

    split: str = Field(description="train or heldout")
    key: str = Field(description="sha256 of the shards' digests, the tokenizer and the format: what the parts are of")
    parts: list[tuple[int, int]] = Field(
        description="First document, and first one after, of each part; counted over all shards in their order"
    )
    curate: str = Field(default="", description="Hash of the manifest of the curated documents; empty: not known")
    files: list[CuratedFile] = Field(default_factory=list, description="Where the documents came from")
