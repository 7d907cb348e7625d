"""Signals to one process alone, and a killed supervisor: nothing is lost, and somebody is told."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from trainings import start

from altiplano.errors import TrainingError
from altiplano.parallel.processes import to_stop
from altiplano.stages import supervise as supervising
from altiplano.stages.supervise import supervise
from altiplano.training.resilience import incidents
from faults.test_checkpoints import RECIPE, names

# In the place of a supervisor: notes each start, says which signal it got, and may be killed at its first start.
STAND_IN = """
import os, signal, sys, time
from pathlib import Path
starts = Path(sys.argv[1]) / "starts"
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os._exit(number))
with starts.open("a") as file:
    file.write("x")
signal.pthread_sigmask(signal.SIG_SETMASK, ())
if starts.stat().st_size <= int(sys.argv[2]):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "wait":
    os.kill(os.getppid(), int(sys.argv[4]))
    time.sleep(60)
"""


def stand_in(folder: Path, kills: int, then: str = "end", number: int = 0) -> list[str]:
    return [sys.executable, "-SE", "-c", STAND_IN, str(folder), str(kills), then, str(number)]


def test_a_killed_supervisor_is_started_again_and_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert supervise(stand_in(tmp_path, kills=2), None, tmp_path, restarts=3) == 0
    assert (tmp_path / "starts").stat().st_size == 3
    assert capsys.readouterr().err.count("the supervisor was ended by SIGKILL; starting it again") == 2
    assert [one.kind for one in incidents.read(tmp_path)] == ["supervisor", "supervisor"]


def test_one_that_is_killed_again_and_again_ends_the_command(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="ended by SIGKILL; again after 1 restarts: stopped"):
        supervise(stand_in(tmp_path, kills=9), None, tmp_path, restarts=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_to_stop_is_passed_on(number: int, tmp_path: Path) -> None:
    before = signal.getsignal(number)
    assert supervise(stand_in(tmp_path, 0, "wait", number), None, tmp_path, restarts=0) == number
    assert signal.getsignal(number) is before


def test_no_second_writer_beside_ranks_that_outlive_their_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "SECONDS_TO_END", 0.3)
    rank = "import subprocess, os; subprocess.Popen(['sleep', '20'], close_fds=False); os.kill(os.getpid(), 9)"
    with pytest.raises(TrainingError, match="they do not end"):
        supervise([sys.executable, "-SE", "-c", rank], None, tmp_path, restarts=3)


def test_a_closed_terminal_is_ignored_where_nohup_says_so() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        for handler in (signal.SIG_IGN, signal.SIG_DFL):
            signal.signal(signal.SIGHUP, handler)
            assert (signal.SIGHUP in to_stop()) == (handler == signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGINT, signal.SIGTERM))]
)
def test_a_signal_to_the_supervisor_alone_saves_and_stops(number: int, tokenized: Path, tmp_path: Path) -> None:
    slow = [{"kind": "slow", "rank": 0, "step": 1, "steps": 9}]
    process = start(tmp_path, tokenized, "dp1", RECIPE, slow)
    metrics = tmp_path / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") == 3):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, number)
    errors, _ = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert max(names(tmp_path)) == f"step-{metrics.read_text().count(chr(10)):08d}"
