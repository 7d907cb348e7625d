"""A shard task's raw documents, whatever their format."""

from collections.abc import Iterator
from pathlib import Path

from altiplano.corpus.sources import code, jsonl, latex, parquet, python, text, warc
from altiplano.corpus.sources.listing import Task
from altiplano.corpus.sources.raw import Bad, Raw

READERS = {
    "warc": warc.read,
    "latex": latex.read,
    "jsonl": jsonl.read,
    "parquet": parquet.read,
    "text": text.read,
    "code": code.read,
}


def read(task: Task) -> Iterator[Raw | Bad]:
    """Until the task's share of the source's limits is used up."""
    documents = size = 0
    for name in task.files:
        if task.source.format == "python":
            records = python.read(task.source.path, name)
        else:
            records = READERS[task.source.format](Path(task.root) / name, name)
        for record in records:
            if isinstance(record, Raw):
                if task.max_documents is not None and documents >= task.max_documents:
                    return
                if task.max_bytes is not None and size >= task.max_bytes:
                    return
                documents += 1
                size += record.size
            yield record
