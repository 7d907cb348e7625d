"""Tasks that fail: an unreadable raw file is skipped with the reason, an output that cannot be written is not."""

import errno
from pathlib import Path

import pytest

from altiplano.errors import InputError
from altiplano.execution.local import InProcess
from altiplano.execution.map_shards import ATTEMPTS, map_shards


def run(folder: Path, error: OSError) -> tuple[int, list[str]]:
    """How often a failing task was tried, and why it was skipped."""
    tried, skipped = [], []

    def work(task: str) -> None:
        tried.append(task)
        raise error

    (folder / "out").mkdir()
    map_shards(
        "reading",
        work,
        ["a"],
        lambda task: folder / "out" / task,
        lambda task: 1,
        InProcess(),
        lambda task, reason: skipped.append(reason),
    )
    return len(tried), skipped


def test_a_raw_file_that_cannot_be_read_is_skipped(tmp_path: Path) -> None:
    assert run(tmp_path, OSError(errno.EIO, "Input/output error", "/raw/a.warc")) == (
        ATTEMPTS,
        ["OSError: [Errno 5] Input/output error: '/raw/a.warc'"],
    )


@pytest.mark.parametrize("name", [None, "out/a.tmp"])
def test_an_output_that_cannot_be_written_is_not(tmp_path: Path, name: str | None) -> None:
    error = OSError(errno.EIO, "Input/output error", *([str(tmp_path / name)] if name else []))
    with pytest.raises(InputError, match=r"reading: .*Input/output error.*run again to go on from here"):
        run(tmp_path, error)
