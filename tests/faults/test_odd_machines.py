"""Closed streams, an ASCII locale, file systems without locks, damaged lists: one line, and nothing is lost."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small import SMALL

from altiplano.cli.main import run
from altiplano.errors import InputError
from altiplano.recipe.schema import CheckpointConfig
from altiplano.records import Incident, LedgerEvent, StepMetrics
from altiplano.stages.run import locked
from altiplano.training.checkpoints import checkpoint, saving
from altiplano.training.skips import Skips


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """Else the next message would be written into it."""
    script = (
        "import os, sys; from altiplano.errors import keep_streams\n"
        "keep_streams()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "print('a message', file=sys.stderr); print('another'); os.write(2, b'of a library')\n"
        "file.write(str(file.fileno() > 2))"
    )
    closed = subprocess.run(["sh", "-c", f'exec {sys.executable} -c "$0" <&- >&- 2>&-', script], check=False)
    assert closed.returncode == 0
    assert (tmp_path / "file").read_text() == "True"


def test_an_ascii_locale_and_a_full_terminal_stop_nothing() -> None:
    script = "import sys; from altiplano.errors import keep_streams; keep_streams(); print('Straße'); "
    script += "print('ü', file=sys.stderr); sys.stderr.flush()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=full,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
        )
    assert (done.returncode, done.stdout) == (0, b"Stra\\xdfe\n")


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(InputError, match="on a file system that cannot lock files"), locked(tmp_path):
        pass


@pytest.mark.parametrize("kind", [StepMetrics, LedgerEvent, Incident])
def test_lines_that_are_none_are_left_out_and_counted(
    kind: type[StepMetrics | LedgerEvent | Incident], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {
        StepMetrics: b'{"step": 1, "tokens": 2, "loss": 1.0, "gradient_norm": 1.0, "learning_rate": 0.1}\n',
        LedgerEvent: b'{"event": "end", "time": 1.0}\n',
        Incident: b'{"time": 1.0, "kind": "hang", "what": "", "action": ""}\n',
    }
    file = tmp_path / "lines.jsonl"
    for damage in (b"\xff\xfe{\n", b'{"step": 1,\n', b"[" * 100_000 + b"\n", b"17\n", lines[kind][:9]):
        file.write_bytes(lines[kind] + damage)
        assert len(kind.read_lines(file)) == 1
    file.write_bytes(b"\xff\n\x00\n" + lines[kind])
    assert len(kind.read_lines(file)) == 1
    told = capsys.readouterr().err
    assert "lines.jsonl: a line is cut short or damaged and left out" in told
    assert "lines.jsonl: 2 lines are" in told
    file.write_bytes(b"\n\n" + lines[kind] + b'{"of": "another version"}\n')
    with pytest.raises(InputError, match="written by another version"):
        kind.read_lines(file)


@pytest.mark.parametrize("damage", [b"", b"\xff", b'{"a"', b"[]", b"17"])
def test_a_damaged_list_is_one_line(
    damage: bytes, tokenized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the file: what a stage, a checkpoint, the skips and unfinished training say of themselves."""
    workspace = tmp_path / "run"
    (workspace / "tokenize").mkdir(parents=True)
    (workspace / "curate").mkdir()
    for name in ("curate", "tokenize"):
        (workspace / name / "manifest.json").write_bytes(damage)
    overrides = [part for value in SMALL for part in ("--set", value)]
    assert run(["train", "quickstart", "--check", "--workspace", str(workspace), *overrides]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "skips.json").write_bytes(damage)
    with pytest.raises(InputError, match=r"skips\.json"):
        Skips.read(tmp_path)
    one = tmp_path / "step-00000030"
    one.mkdir()
    (one / "manifest.json").write_bytes(damage)
    assert "manifest.json" in checkpoint.check(one).problem


def test_a_copy_of_a_checkpoint_is_none(tmp_path: Path) -> None:
    for name in ("step-00000030", "step-00000030 copy", "damaged-step-00000030 copy", "step-00000030.tar"):
        (tmp_path / name).mkdir()
    assert [path.name for path in checkpoint.saved(tmp_path)] == ["step-00000030"]
    assert [path.name for path in checkpoint.kept_aside(tmp_path)] == ["damaged-step-00000030 copy"]


def test_a_full_disk_is_made_room_on_and_the_newest_sound_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(10, 60, 10):
        (tmp_path / f"step-{step:08d}").mkdir()
    free = iter([0, 0, 50, 100, 100, 100])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 0, next(free)))
    settings = CheckpointConfig(interval_steps=10, retain_steps=20)
    gone = saving.make_room(tmp_path, 60, settings, verified={20, 40})  # nobody has read that of step 50
    assert [path.name for path in gone] == ["step-00000010", "step-00000030"]
    assert [checkpoint.step_of(path) for path in checkpoint.saved(tmp_path)] == [50, 40, 20]
    settings = CheckpointConfig(interval_steps=10)
    assert saving.make_room(tmp_path, 60, settings, verified={20, 40}) == []
    assert saving.is_full("OSError: [Errno 122] Disk quota exceeded")  # of which what is free tells nothing
    assert [path.name for path in saving.make_room(tmp_path, 60, settings, {20, 40}, told=True)] == ["step-00000020"]
