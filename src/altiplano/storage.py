"""Files that others rely on: digests, fsync, files that are whole or absent, JSON and JSON Lines.

A kill or a power failure at any moment leaves the old file or the new one (``publish`` and all that is built on it), or
a JSON Lines file whose last line is cut short. A line that is cut short never was written: readers leave it out, and
the next line that is appended stands on a line of its own.
"""

import errno
import fnmatch
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from altiplano.errors import InputError

T = TypeVar("T")

ABSENT = (FileNotFoundError, NotADirectoryError)
"""There is no such file."""
RESTORE = "bring it back from a copy, or compute the stage that writes it again (--force)"
CHECKSUM = "checksum"
BLOCK_BYTES, BLOCKS = 1 << 16, 64
TEMPORARY = ".tmp"
"""How names of files end that are not finished."""


class Damaged(ValueError):
    """A file is not what was written. What cannot be read at all is an OSError instead: it may be sound."""


def digest(path: Path) -> str:
    """sha256 of a file, hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled_digest(path: Path) -> str:
    """sha256, hexadecimal, of a file's size and of ``BLOCKS`` blocks spread evenly over it: cheap for a file of any
    size, and of all bytes of one that is not larger than they are."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        found.update(str(size).encode())
        last = max(0, size - BLOCK_BYTES)
        whole = size <= BLOCKS * BLOCK_BYTES
        places = range(0, size, BLOCK_BYTES) if whole else [last * n // (BLOCKS - 1) for n in range(BLOCKS)]
        for place in places:
            file.seek(place)
            found.update(file.read(BLOCK_BYTES))
    return found.hexdigest()


def json_digest(value: Any) -> str:
    """sha256, hexadecimal, of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        _name(error, path)
        raise
    finally:
        os.close(handle)


def _name(error: BaseException, path: Path) -> None:
    """Say of which file it is: what fails on an open one does not know its name."""
    if isinstance(error, OSError) and not error.filename:
        error.filename = str(path)


def publish(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it into place. The folder is synced too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that no pattern takes it for a result; named by process, as a killed run's orphan may still write.
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # what comes first is why
            temporary.unlink(missing_ok=True)
        _name(error, path)
        raise
    sync(path.parent)


def listed(folder: Path, pattern: str) -> list[Path]:
    """What is in ``folder`` and has such a name, sorted; [] when there is no such folder. Raises OSError when it cannot
    be listed, where ``Path.glob`` would say that there is nothing."""
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except FileNotFoundError:
        return []
    return sorted(folder / name for name in names if fnmatch.fnmatchcase(name, pattern))


def all_in(folder: Path) -> list[Path]:
    """All files and folders at any depth, sorted. Raises OSError when a folder cannot be listed."""

    def fail(error: OSError) -> None:
        raise error

    return sorted(Path(root, name) for root, *names in os.walk(folder, onerror=fail) for name in (*names[0], *names[1]))


def remove_tree(path: Path) -> None:
    """Remove a folder and all that is in it, if it is there. Raises OSError when anything stays: it would be taken for
    a part of whatever is published from there."""
    if path.exists():
        shutil.rmtree(path)


def remove_leftover(path: Path) -> None:
    """Remove a folder that nobody reads any more, with a warning when anything stays: it takes room."""
    try:
        remove_tree(path)
    except OSError as error:
        print(f"warning: {path} is of no use and could not be removed: {error.strerror}", file=sys.stderr)


def remove_temporaries(folder: Path) -> None:
    """What a killed process left unfinished anywhere in ``folder``; none that still writes there may be alive."""
    for path in all_in(folder):
        if path.name.endswith(TEMPORARY):
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
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one, too
        raise Damaged(f"{path.name} is not JSON") from error


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises Damaged when it is something else, OSError when it cannot be read."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise Damaged(f"{path.name} is not a JSON object")
    return found


def read_if_there(path: Path, read: Callable[[Path], T], fix: str = RESTORE) -> T | None:
    """What ``read`` makes of ``path``; None only when there is no such file. Raises InputError, with the ``fix``, when
    it is damaged, and OSError when it cannot be read: what a failing disk hides is not missing."""
    try:
        return read(path)
    except ABSENT:
        return None
    except Damaged as error:
        raise InputError(f"{path} is damaged ({error}): {fix}") from error


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
        raw = b"\n" * cut_short + line.encode() + b"\n"
        if (written := file.write(raw)) != len(raw):  # a disk that is almost full; the next line begins anew
            raise OSError(errno.ENOSPC, f"only {written} of {len(raw)} bytes could be written", str(path))


_told: dict[Path, int] = {}
"""How many unreadable lines of a file were spoken of: it may be read often."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file in order; [] without a file. Lines that are none, such as those that killed
    processes cut short, are left out, with a warning that counts them."""
    found, unreadable = [], 0
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    for line in raw.split(b"\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            unreadable += bool(line)
            continue
        if isinstance(record, dict):
            found.append(record)
        else:
            unreadable += 1
    if unreadable > _told.get(path, 0):
        _told[path] = unreadable
        some = "a line is" if unreadable == 1 else f"{unreadable} lines are"
        print(f"warning: {path}: {some} cut short or damaged and left out", file=sys.stderr)
    return found


def rewrite_lines(path: Path, lines: Iterable[str]) -> None:
    """Replace a JSON Lines file as a whole."""
    write_text(path, "".join(line + "\n" for line in lines))
