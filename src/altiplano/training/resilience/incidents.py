"""Incident records: what went wrong, when, on which rank, what was done about it, and which samples were involved."""

import json
import time
from pathlib import Path
from typing import Any


def record(folder: Path, kind: str, what: str, action: str, **facts: Any) -> None:
    """Append one incident to ``folder/incidents.jsonl``."""
    line = {"time": round(time.time(), 3), "kind": kind, "what": what, "action": action, **facts}
    with (folder / "incidents.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def read(folder: Path) -> list[dict[str, Any]]:
    path = folder / "incidents.jsonl"
    incidents = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            incidents.append(json.loads(line))
        except json.JSONDecodeError:  # cut short by a kill
            continue
    return incidents
