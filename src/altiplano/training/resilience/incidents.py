"""Incident records: what went wrong, when, on which rank, what was done about it, and which samples were involved."""

import time
from pathlib import Path
from typing import Any

from altiplano.records import Incident

FILE = "incidents.jsonl"


def record(folder: Path, kind: str, what: str, action: str, **facts: Any) -> None:
    """Append one incident to ``folder/incidents.jsonl``."""
    Incident(time=round(time.time(), 3), kind=kind, what=what, action=action, **facts).append(folder / FILE)


def read(folder: Path) -> list[Incident]:
    return Incident.read_lines(folder / FILE)
