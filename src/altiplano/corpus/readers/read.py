"""A shard task's raw documents, whatever their format."""

from collections.abc import Iterator

from altiplano.corpus.readers import (
    arxiv,
    blocklist,
    code,
    installed_python,
    jats_articles,
    jsonl,
    mediawiki_dump,
    parquet,
    text,
    warc,
)
from altiplano.corpus.readers.listing import Task
from altiplano.corpus.readers.opening import join
from altiplano.corpus.readers.raw import Bad, Raw, left_out

READERS = {
    "warc": warc.read,
    "latex": arxiv.read,
    "jats": jats_articles.read,
    "mediawiki": mediawiki_dump.read,
    "jsonl": jsonl.read,
    "parquet": parquet.read,
    "text": text.read,
}


def read(task: Task) -> Iterator[Raw | Bad]:
    """Until the task's share of the source's limits is used up."""
    blocked = blocklist.load(task.root, task.source.blocklist) if task.source.blocklist else frozenset()
    documents = size = 0
    for name in task.files:
        for record in _records(task, name):
            if isinstance(record, Raw):
                if task.max_documents is not None and documents >= task.max_documents:
                    return
                if task.max_bytes is not None and size >= task.max_bytes:
                    return
                if blocked and blocklist.is_blocked(record.url, blocked):
                    yield left_out("on the blocklist", f"{record.place} {record.url}")
                    continue
                documents += 1
                size += record.size
            yield record


def _records(task: Task, name: str) -> Iterator[Raw | Bad]:
    if task.source.format == "python":
        return installed_python.read(task.source.path, name)
    file = join(task.root, name)
    if task.source.format == "code":
        return code.read(file, name, task.source.licences)
    return READERS[task.source.format](file, name)
