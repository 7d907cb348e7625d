"""Files that others rely on: digests, fsync, files that are whole or absent, JSON and JSON Lines.

A kill or a power failure at any moment leaves the old file or the new one (``publish`` and all that is built on it), or
a JSON Lines file whose last line is cut short. A line that is cut short never was written: readers leave it out, and
the next line that is appended stands on a line of its own.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CHECKSUM = "checksum"
TEMPORARY = ".tmp"
"""How names of files end that are not finished."""


class Damaged(ValueError):
    """A file is not what was written. What cannot be read at all is an OSError instead: it may be sound."""


def digest(path: Path) -> str:
    """sha256 of a file, hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(value: Any) -> str:
    """sha256, hexadecimal, of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it into place. The folder is synced too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that no pattern takes it for a result; named by process, as a killed run's orphan may still write.
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def remove_temporaries(folder: Path) -> None:
    """What a killed process left unfinished anywhere in ``folder``; none that still writes there may be alive."""
    for path in sorted(folder.rglob(f"*{TEMPORARY}")):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Publish ``text`` as UTF-8."""
    # The name of a file on disk need not be UTF-8: what stands for its bytes is a valid escape in JSON.
    publish(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))


def json_text(value: Any, *, indent: int = 1, ensure_ascii: bool = True) -> str:
    """``value`` as JSON with sorted keys: equal values give equal text."""
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=ensure_ascii) + "\n"


def write_json(path: Path, value: Any, *, indent: int = 1, ensure_ascii: bool = True) -> None:
    """Publish ``value`` as JSON with sorted keys: equal values give equal bytes."""
    write_text(path, json_text(value, indent=indent, ensure_ascii=ensure_ascii))


def read_json(path: Path) -> Any:
    """The JSON in ``path``. Raises Damaged when it is something else, OSError when it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:  # UnicodeDecodeError is one, too
        raise Damaged(f"{path.name} is not JSON") from error


def try_read_json(path: Path) -> Any:
    """The JSON in ``path``; None when there is no such file, or it cannot be read, or it is not JSON."""
    try:
        return read_json(path)
    except (OSError, Damaged):
        return None


def write_checked(path: Path, content: dict[str, Any]) -> None:
    """Publish ``content`` as JSON with a checksum of its own, so that no flipped bit in it decides anything."""
    plain = json.loads(json.dumps(content))  # as it will be read: names of numbers are strings
    write_json(path, plain | {CHECKSUM: json_digest(plain)})


def read_checked(path: Path) -> dict[str, Any]:
    """What ``write_checked`` wrote. Raises Damaged when it is something else, OSError when it cannot be read."""
    content = read_json(path)
    if not isinstance(content, dict) or CHECKSUM not in content:
        raise Damaged(f"{path.name} has no checksum of its own")
    if content.pop(CHECKSUM) != json_digest(content):
        raise Damaged(f"{path.name} has changed since it was written (checksum differs)")
    return content


def append_line(path: Path, line: str) -> None:
    """Append one line (a JSON object), on a line of its own even after one that was cut short.

    One write: lines of several processes do not mix.
    """
    with path.open("ab+", buffering=0) as file:
        cut_short = False
        if file.tell():
            file.seek(-1, os.SEEK_END)
            cut_short = file.read(1) != b"\n"
        file.write(b"\n" * cut_short + line.encode() + b"\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file in order, without lines that a killed process cut short; [] without a file."""
    found = []
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    for line in raw.split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            found.append(record)
    return found


def rewrite_lines(path: Path, lines: Iterable[str]) -> None:
    """Replace a JSON Lines file as a whole."""
    write_text(path, "".join(line + "\n" for line in lines))
