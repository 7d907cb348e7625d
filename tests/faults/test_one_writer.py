"""One writer in a workspace, whichever of its processes dies first and when."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from processes import alive, children

from altiplano.errors import InputError
from altiplano.stages import run
from altiplano.stages.run import locked
from faults.runs import finish, start


def supervisor_of(command: int) -> int:
    """The process that ``altiplano train`` has started to watch over the ranks; waits for it."""
    end = time.monotonic() + 100
    while time.monotonic() < end:
        for child in children(command):
            if b"altiplano.training.supervisor" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
        time.sleep(0.005)
    raise TimeoutError("no supervisor")


@pytest.mark.slow
def test_a_command_killed_while_its_supervisor_starts_leaves_no_second_writer(tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    finish(workspace, "tokenize")
    longer = ["batch.total_tokens=500K"]  # than a second command takes to start
    first = start(workspace, "train", longer)
    orphan = supervisor_of(first.pid)
    time.sleep(0.2)  # it imports torch, and has not yet asked to die with its parent
    first.kill()
    first.wait()  # its pipe stays open: the orphan must not die of writing to it
    second = start(workspace, "train", longer)
    supervisor = 0
    while second.poll() is None:
        supervisor = supervisor or next(
            (one for one in children(second.pid) if b"supervisor" in Path(f"/proc/{one}/cmdline").read_bytes()), 0
        )
        assert not (supervisor and alive(orphan)), "two trainings in one folder"
        time.sleep(0.02)
    assert second.returncode == 0, second.communicate()[1]
    assert supervisor
    assert not alive(orphan)


@pytest.mark.slow
def test_the_lock_is_held_as_long_as_any_writer_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor is stopped, and so cannot end when its command is killed before it asked to."""
    monkeypatch.setattr(run, "SECONDS_TO_END", 0.5)
    workspace = tmp_path / "run"
    finish(workspace, "tokenize")
    first = start(workspace, "train")
    orphan = supervisor_of(first.pid)
    os.kill(orphan, signal.SIGSTOP)
    try:
        with pytest.raises(InputError, match=f"process {first.pid} on .* is at work"), locked(workspace):
            pass
        first.kill()
        first.wait()
        with pytest.raises(InputError, match="is at work"), locked(workspace):
            pass
    finally:
        os.kill(orphan, signal.SIGKILL)
        first.communicate()
    monkeypatch.setattr(run, "SECONDS_TO_END", 10)
    with locked(workspace):
        pass


def test_what_outlives_a_command_that_ended_does_not_keep_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        left = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    try:
        with locked(tmp_path):
            pass
    finally:
        left.kill()
        left.wait()


def test_the_lock_of_a_first_rank_on_a_lost_node_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = (tmp_path / ".lock").open("a+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.write("7 elsewhere\n")
    lock.flush()
    with pytest.raises(InputError, match="process 7 on elsewhere"), locked(tmp_path):
        pass
    monkeypatch.setenv("RANK", "0")
    threading.Timer(0.3, lock.close).start()
    with locked(tmp_path):
        assert lock.closed


def test_a_child_whose_parent_is_gone_ends(tmp_path: Path) -> None:
    script = "from altiplano.parallel.processes import die_with_parent\ndie_with_parent(1)\nprint('on')"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
