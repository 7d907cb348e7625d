"""What several rooms do with files: checksums, JSON that carries one, and making sure that bytes are on the disk."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

CHECKSUM = "checksum"


class Damaged(ValueError):
    """A file is not what was written. What cannot be read at all is an OSError instead: it may be sound."""


def digest(path: Path) -> str:
    """sha256 of a file, hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_checked(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` as JSON with a checksum of its own, so that no flipped bit in it decides anything."""
    plain = json.loads(json.dumps(content))  # as it will be read: names of numbers are strings
    path.write_text(json.dumps(plain | {CHECKSUM: _checksum(plain)}, indent=1, sort_keys=True) + "\n")


def read_checked(path: Path) -> dict[str, Any]:
    """What ``write_checked`` wrote. Raises Damaged when it is something else, OSError when it cannot be read."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise Damaged(f"{path.name} is not JSON") from error
    if not isinstance(content, dict) or CHECKSUM not in content:
        raise Damaged(f"{path.name} has no checksum of its own")
    if content.pop(CHECKSUM) != _checksum(content):
        raise Damaged(f"{path.name} has changed since it was written (checksum differs)")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
