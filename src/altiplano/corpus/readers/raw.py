"""What a reader yields."""

from dataclasses import dataclass
from typing import Literal

MAX_RECORD_BYTES = 64 * 2**20
"""Longer records and archive members are refused: a small compressed file can unfold to any size."""

TOO_LONG = "record above 64 MiB"

Markup = Literal["html", "latex", "jats", "mediawiki", "markdown", "asciidoc", "rst", "text", "code"]


@dataclass(frozen=True)
class RawDocument:
    """One raw document. ``place`` finds it again in its source; ``size`` is its raw length in bytes.

    ``markup`` says how its text is extracted: ``text`` is taken as it is.
    """

    place: str
    url: str
    markup: Markup
    text: str
    size: int
    code_language: str = ""


@dataclass(frozen=True)
class BadRecord:
    """A record that could not be read (``lost``), or only after a repair. ``example`` says where and what.

    ``records`` is how many it stands for, ``size`` how many bytes of the file, where the reader knows.
    """

    reason: str
    example: str
    lost: bool = True
    records: int = 1
    size: int = 0


def left_out(why: str, example: str) -> BadRecord:
    """A record that is whole but not wanted: counted with its reason, no loss."""
    return BadRecord(f"left out: {why}", example, lost=False)
