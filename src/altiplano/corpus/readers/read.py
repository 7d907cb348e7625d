"""A shard task's raw documents, whatever their format."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from altiplano.corpus.readers import blocklist
from altiplano.corpus.readers.formats import (
    arxiv,
    code,
    epub,
    installed_python,
    jats_articles,
    jsonl,
    mediawiki_dump,
    paper_metadata,
    parquet,
    pdf,
    text,
    zim,
)
from altiplano.corpus.readers.listing import ShardTask
from altiplano.corpus.readers.opening import File, join
from altiplano.corpus.readers.opt_outs import Site, closed_by
from altiplano.corpus.readers.raw import BadRecord, FileRead, RawDocument, Record, left_out, taken_of
from altiplano.corpus.readers.web_archives import warc

Reader = Callable[[Any], Iterable[RawDocument | BadRecord]]
"""From the path of a local file, or an object with ``open`` and ``name`` for a remote one, to its records. Their
``place`` is replaced by the file's name and their number in it."""

READERS: dict[str, Callable[[File, str], Iterator[Record]]] = {
    "warc": warc.read,
    "latex": arxiv.read,
    "jats": jats_articles.read,
    "mediawiki": mediawiki_dump.read,
    "text": text.read,
    "epub": epub.read,
    "pdf": pdf.read,
    "zim": zim.read,
    "openalex": paper_metadata.read_openalex,
    "arxiv-metadata": paper_metadata.read_arxiv,
}
"""By format; those of ``python``, ``code``, ``jsonl`` and ``parquet`` take other arguments."""


def read(
    task: ShardTask, readers: Mapping[str, Reader] | None = None, sites: Mapping[str, Site] | None = None
) -> Iterator[Record]:
    """Until the task's share of the source's limits is used up. ``readers`` are the caller's, by format; ``sites`` what
    sites say about the use of their pages, by host.

    ``FileRead`` ends each file. Of a file in which a limit was reached, what was read counts.
    """
    yield from task.notes
    blocked = blocklist.load(task.root, task.source.blocklist) if task.source.blocklist else frozenset()
    documents = size = 0
    for name in task.files:
        in_file = 0
        for found in _records(task, name, readers or {}):
            record = found
            if isinstance(found, RawDocument):
                if _is_reached(task.max_documents, documents) or _is_reached(task.max_bytes, size):
                    yield FileRead(in_file, {})
                    return
                if why := _unwanted(found.url, sites or {}, blocked):
                    record = left_out(why, f"{found.place} {found.url}", taken_of(found))
                else:
                    documents += 1
                    size += found.size
            in_file += 0 if isinstance(record, FileRead) else taken_of(record)
            yield record


def _is_reached(limit: int | None, count: int) -> bool:
    return limit is not None and count >= limit


def _unwanted(url: str, sites: Mapping[str, Site], blocked: frozenset[str]) -> str:
    """Why a document from there is left out; empty when it is not."""
    if file := closed_by(url, sites):
        return f"reserved by its publisher ({file})"
    return "on the blocklist" if blocked and blocklist.is_blocked(url, blocked) else ""


def _records(task: ShardTask, name: str, readers: Mapping[str, Reader]) -> Iterator[Record]:
    source = task.source
    if source.format == "python":
        return _measured(installed_python.read(source.path, name))
    file = join(task.root, name)
    if source.format in readers:
        return _measured(_from_callers_reader(readers[source.format], file, name))
    if source.format == "code":
        return code.read(file, name, source.licences)
    if source.format in ("jsonl", "parquet"):
        return (jsonl if source.format == "jsonl" else parquet).read(file, name, source.text_key)
    return READERS[source.format](file, name)


def _measured(records: Iterator[RawDocument | BadRecord]) -> Iterator[Record]:
    """Of a reader that does not say what came out of its files: as much as it accounts for."""
    size = 0
    for record in records:
        size += taken_of(record)
        yield record
    yield FileRead(size, {})


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
