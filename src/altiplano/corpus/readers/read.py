"""A shard task's raw documents, whatever their format."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from altiplano.corpus.readers import blocklist
from altiplano.corpus.readers.formats import (
    arxiv,
    code,
    installed_python,
    jats_articles,
    jsonl,
    mediawiki_dump,
    parquet,
    text,
)
from altiplano.corpus.readers.listing import ShardTask
from altiplano.corpus.readers.opening import File, join
from altiplano.corpus.readers.raw import BadRecord, RawDocument, left_out
from altiplano.corpus.readers.web_archives import warc

Reader = Callable[[Any], Iterable[RawDocument | BadRecord]]
"""From the path of a local file, or an object with ``open`` and ``name`` for a remote one, to its records. Their
``place`` is replaced by the file's name and their number in it."""

READERS = {
    "warc": warc.read,
    "latex": arxiv.read,
    "jats": jats_articles.read,
    "mediawiki": mediawiki_dump.read,
    "jsonl": jsonl.read,
    "parquet": parquet.read,
    "text": text.read,
}
"""By format; the readers of ``python`` and ``code`` take other arguments."""


def read(task: ShardTask, readers: Mapping[str, Reader] | None = None) -> Iterator[RawDocument | BadRecord]:
    """Until the task's share of the source's limits is used up. ``readers`` are the caller's, by format."""
    blocked = blocklist.load(task.root, task.source.blocklist) if task.source.blocklist else frozenset()
    documents = size = 0
    for name in task.files:
        for record in _records(task, name, readers or {}):
            if isinstance(record, RawDocument):
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


def _records(task: ShardTask, name: str, readers: Mapping[str, Reader]) -> Iterator[RawDocument | BadRecord]:
    if task.source.format == "python":
        return installed_python.read(task.source.path, name)
    file = join(task.root, name)
    if task.source.format in readers:
        return _from_callers_reader(readers[task.source.format], file, name)
    if task.source.format == "code":
        return code.read(file, name, task.source.licences)
    return READERS[task.source.format](file, name)


def _from_callers_reader(reader: Reader, file: File, name: str) -> Iterator[RawDocument | BadRecord]:
    """Its records under distinct places; where it raises, the rest of the file is lost."""
    number = 0
    try:
        for number, record in enumerate(reader(file), 1):
            if isinstance(record, RawDocument):
                yield replace(record, place=f"{name}#{number}")
            elif isinstance(record, BadRecord):
                yield record
            else:
                raise TypeError(f"a reader must yield RawDocument or BadRecord, not {type(record).__name__}")
    except Exception as error:
        what = f"{name} after record {number}: {type(error).__name__}: {error}"
        yield BadRecord("unreadable file, the rest is lost", what)
