"""ZIM, the files of Kiwix: every page of HTML is a document. Needs the extra ``zim``."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.opening import File, size_of
from altiplano.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    FileRead,
    RawDocument,
    Record,
    left_out,
)
from altiplano.optional_imports import extra

OTHER = "not a page of HTML"


def read(path: File, place: str) -> Iterator[Record]:
    """Redirects, pictures and other files are counted together."""
    libzim = extra("libzim.reader", "zim", 'format = "zim"')
    if not isinstance(path, Path):
        yield BadRecord("ZIM files must lie on a disk of this machine", place, size=size_of(path), taken=0)
        return
    try:
        archive = libzim.Archive(path)
    except RuntimeError as error:
        yield BadRecord("unreadable file", f"{place}: {error}", size=size_of(path), taken=0)
        return
    others: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    unpacked = 0
    for number in range(archive.all_entry_count):
        where = f"{place}#{number}"
        try:
            entry = archive._get_entry_by_id(number)  # the only way to all of them
            if entry.is_redirect:
                others["redirect"] += 1
                continue
            item = entry.get_item()
            if item.mimetype.partition(";")[0] != "text/html":
                others[OTHER] += 1
                sizes[OTHER] += item.size
                unpacked += item.size
                continue
            if item.size > MAX_RECORD_BYTES:
                yield BadRecord(TOO_LONG, f"{where} {entry.path}", size=item.size)
                unpacked += item.size
                continue
            data = bytes(item.content)
        except (RuntimeError, KeyError) as error:
            yield BadRecord("damaged entry", f"{where}: {error}", taken=0)
            continue
        unpacked += len(data)
        text, repair = decode(data)
        if repair:
            yield BadRecord(repair, where, lost=False, taken=0)
        yield RawDocument(where, entry.path, "html", text, len(data))
    for why, records in sorted(others.items()):
        yield left_out(why, place, sizes[why], records)
    yield FileRead(unpacked, {})
