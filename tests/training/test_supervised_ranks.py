"""What the supervisor and the parent of forked processes say of ranks that end: the cause, and since when."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from altiplano.parallel.processes import fork_ranks
from altiplano.training import supervisor
from altiplano.training.resilience.heartbeat import Heartbeat


def attempt(folder: Path, life: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch) -> supervisor.Ending:
    """How two ranks end that live so; the supervisor gives the others 0.2 s."""
    job: Any = SimpleNamespace(layout=SimpleNamespace(world_size=2), folder=folder, device="cpu")
    monkeypatch.setattr(supervisor, "run_job", lambda _: life(int(os.environ["RANK"])))
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.2)
    watching = supervisor.Supervisor.__new__(supervisor.Supervisor)  # whose handlers of signals would stay
    watching.job, watching.asked_to_stop, watching.ranks = job, False, None
    return watching._attempt(job)


def test_a_rank_that_the_supervisor_kills_is_not_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def life(rank: int) -> None:
        if rank == 0:
            raise ValueError("a broken disk")
        time.sleep(60)  # in a collective that does not notice

    ending = attempt(tmp_path, life, monkeypatch)
    assert (ending.kind, ending.what, ending.rank) == ("exception", "rank 0: ValueError: a broken disk", 0)
    assert "a broken disk" in ending.traceback


def test_a_hang_began_with_the_last_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def life(rank: int) -> None:
        Heartbeat(supervisor.heartbeats_folder(SimpleNamespace(folder=tmp_path)), rank, 2.0, 2.0).beat("compute")  # type: ignore[arg-type]
        time.sleep(60)

    begun = time.time()
    ending = attempt(tmp_path, life, monkeypatch)
    assert ending.kind == "hang"
    assert ending.since == pytest.approx(begun, abs=1.5)
    assert time.time() - ending.since > 2


def test_a_forked_process_that_is_killed_is_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    assert fork_ranks(1, lambda: os.kill(os.getpid(), signal.SIGKILL) or 0) == 1
    assert "altiplano: process 0 was ended by SIGKILL: the same command goes on" in capfd.readouterr().err
