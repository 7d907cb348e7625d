"""What a reader yields.

Every byte that comes out of a file belongs to a document, to a record that was left out or lost, or to what holds them
together; ``corpus/audit/balance.py`` adds them up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_RECORD_BYTES = 64 * 2**20
"""Longer records and archive members are refused: a small compressed file can unfold to any size."""

TOO_LONG = "record above 64 MiB"

Markup = Literal["html", "book", "latex", "jats", "mediawiki", "markdown", "asciidoc", "rst", "pdf", "text", "code"]


@dataclass(frozen=True)
class RawDocument:
    """One raw document. ``place`` finds it again in its source; ``size`` is its raw length in bytes.

    ``markup`` says how its text is extracted: ``text`` is taken as it is. ``taken`` is how many bytes of the unpacked
    file it is made of, where that is not ``size`` (a compressed page, several files joined). ``packed`` is a file whose
    text a library has to find: in ``extract``, where each document's time and memory are bounded, not in the reader.
    """

    place: str
    url: str
    markup: Markup
    text: str
    size: int
    code_language: str = ""
    taken: int | None = None
    packed: bytes = b""


@dataclass(frozen=True)
class BadRecord:
    """A record that could not be read (``lost``), or only after a repair. ``example`` says where and what.

    ``records`` is how many it stands for, ``size`` how many bytes of the file, where the reader knows; ``taken`` how
    many bytes of the unpacked file, where that is not ``size``. A repair takes none: its document does.
    """

    reason: str
    example: str
    lost: bool = True
    records: int = 1
    size: int = 0
    taken: int | None = None


@dataclass(frozen=True)
class FileRead:
    """At the end of a file: how many bytes came out of it, unpacked, and how many of them are no record's, by name."""

    unpacked: int
    framing: Mapping[str, int]


Record = RawDocument | BadRecord | FileRead


class NoTextError(Exception):
    """A document turned out to be none when its text was extracted: it is counted as this record."""

    def __init__(self, record: BadRecord):
        super().__init__(record.reason)
        self.record = record


def taken_of(record: RawDocument | BadRecord) -> int:
    """Bytes of the unpacked file."""
    return record.size if record.taken is None else record.taken


def left_out(why: str, example: str, size: int = 0, records: int = 1) -> BadRecord:
    """A record that is whole but not wanted: counted with its reason, no loss."""
    return BadRecord(f"left out: {why}", example, lost=False, records=records, size=size)


def records_lost(size: int, before: int, records: int, typical: int) -> int:
    """How many records ``size`` lost bytes held, about: as many as the bytes ``before`` had in so much space;
    ``typical`` is the size of a record, where none was read."""
    return max(1, round(size / (before / records if records and before else typical)))
