"""Of a hang all ranks' last collectives are kept, and keeping them neither ends a run nor keeps a hang alive."""

import os
import pickle
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.flight_recorder.components.loader import read_dir

from altiplano.parallel.mesh import record_collectives
from altiplano.training.resilience import flight_recorder, heartbeat, incidents
from altiplano.training.resilience.flight_recorder import BEFORE, NEWEST, keep_collectives_in
from altiplano.training.resilience.heartbeat import Stalled, collectives_of, stack_of, stalled

NAMES = (
    "TORCH_FR_BUFFER_SIZE",
    "TORCH_NCCL_TRACE_BUFFER_SIZE",
    "TORCH_FR_DUMP_TEMP_FILE",
    "TORCH_NCCL_DEBUG_INFO_TEMP_FILE",
    "TORCH_NCCL_DUMP_ON_TIMEOUT",
)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    yield monkeypatch
    os.environ.clear()
    os.environ.update(before)


def test_nccl_records_and_writes_into_the_run(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record_collectives()
    keep_collectives_in(tmp_path, first=True)
    assert {name: os.environ[name] for name in NAMES if name in os.environ} == {
        "TORCH_FR_BUFFER_SIZE": "2000",
        "TORCH_FR_DUMP_TEMP_FILE": f"{tmp_path}/flight-recorder/newest/rank_",
        "TORCH_NCCL_DUMP_ON_TIMEOUT": "1",
    }
    assert (tmp_path / NEWEST).is_dir()  # PyTorch makes no folders
    phase = tmp_path / "phase"  # which goes on in the same process
    keep_collectives_in(phase, first=False)
    assert os.environ["TORCH_FR_DUMP_TEMP_FILE"] == f"{phase}/flight-recorder/newest/rank_"


def test_what_the_user_set_stays_under_either_name(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = {
        "TORCH_NCCL_TRACE_BUFFER_SIZE": "7",
        "TORCH_NCCL_DEBUG_INFO_TEMP_FILE": "/mine/",
        "TORCH_NCCL_DUMP_ON_TIMEOUT": "0",
    }
    os.environ.update(mine)
    record_collectives()
    record_collectives()
    keep_collectives_in(tmp_path, first=True)
    assert {name: os.environ[name] for name in NAMES if name in os.environ} == mine


def test_two_hangs_are_kept_and_no_more(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for hang in range(4):
        for rank in (1, 0):  # any rank may be first
            keep_collectives_in(tmp_path, first=rank == 0)
        assert list((tmp_path / NEWEST).iterdir()) == []
        (tmp_path / NEWEST / "rank_0").write_text(f"{hang}")
    keep_collectives_in(tmp_path, first=True)
    keep_collectives_in(tmp_path, first=True)  # a start after which nothing hung takes nothing away
    assert [file.read_text() for file in tmp_path.rglob("rank_*")] == ["3"]
    assert (tmp_path / BEFORE / "rank_0").exists()


RANK = """
import os, sys, time
from functools import partial
from pathlib import Path
import torch, torch.distributed as dist
from altiplano.parallel.mesh import record_collectives
from altiplano.training.resilience import flight_recorder, heartbeat
from altiplano.training.resilience.heartbeat import Heartbeat, Watchdog, stack_shown_when_asked

folder, rank, world, watching = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
os.environ.update(GLOO_SOCKET_IFNAME="lo")
record_collectives()
dist.init_process_group("gloo", rank=rank, world_size=world, store=dist.FileStore(str(folder / "store"), world))
flight_recorder.SECONDS, heartbeat.STACK_SECONDS, heartbeat.LONGEST_EVIDENCE = 120.0, 60.0, 200.0  # a busy machine
if watching == "blocks":
    import ctypes
    heartbeat.LONGEST_EVIDENCE = 1.0
    recorder = lambda: ctypes.PyDLL(None).sleep(250)  # holds Python's lock, as a question to a GPU may
    torch._C._distributed_c10d._dump_nccl_trace = recorder
flight_recorder.keep_collectives_in(folder, first=rank == 0)
beats = folder / "heartbeats"
with stack_shown_when_asked(beats, rank, partial(flight_recorder.write_collectives, folder, rank)):
    note = Heartbeat(beats, rank, 60.0 if rank < world - 1 else 2.0, 60.0)
    dist.all_reduce(torch.ones(3))
    note.step = 1 - rank
    note.beat("compute")
    while sum(one.stat().st_size > 0 for one in beats.glob("rank-*")) < world:
        time.sleep(0.05)
    note.beat("compute")
    if watching != "not watching":
        Watchdog(beats, folder, 2.0, records_collectives=True).start()
    if rank == 0 and world > 1:
        dist.all_gather([torch.ones(5), torch.ones(5)], torch.ones(5))  # the other one never comes
    time.sleep(250)
"""


def start(folder: Path, world: int, watching: str) -> list[subprocess.Popen[bytes]]:
    (folder / NEWEST).mkdir(parents=True)
    command = [sys.executable, "-c", RANK, str(folder)]
    same_attempt = os.environ | {"MASTER_PORT": "1"}
    return [subprocess.Popen([*command, str(rank), str(world), watching], env=same_attempt) for rank in range(world)]


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def found_hanging(folder: Path, world: int) -> list[Stalled]:
    deadline = time.monotonic() + 120
    while len(found := stalled(folder / "heartbeats", time.monotonic() + 100)) < world or found[0].doing != "compute":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(2)  # until the other one waits for it
    return found


def collectives(file: Path) -> list[dict[str, Any]]:
    recorded = pickle.loads(file.read_bytes())
    entries: list[dict[str, Any]] = recorded["entries"]
    return entries


def test_all_ranks_write_when_one_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight_recorder, "SECONDS", 120.0)
    monkeypatch.setattr(heartbeat, "STACK_SECONDS", 60.0)
    processes = start(tmp_path, 2, "not watching")
    try:
        hung = found_hanging(tmp_path, 2)[0]
        assert hung.rank == 1
        assert "<module>" in stack_of(tmp_path / "heartbeats", hung)
        said = collectives_of(tmp_path / "heartbeats", hung, tmp_path)
        assert said == "the last collectives of 2 of 2 ranks of this machine are in flight-recorder/newest"
        waits, hangs = (collectives(tmp_path / NEWEST / f"rank_{rank}") for rank in range(2))
        assert [one["profiling_name"] for one in hangs] == ["gloo:all_reduce"]
        assert [one["profiling_name"] for one in waits] == ["gloo:all_reduce", "gloo:all_gather"]
        assert waits[1]["input_sizes"] == [[5]]
        assert all(process.poll() is None for process in processes)
        # PyTorch's own program finds them. (What gloo records it cannot analyse: groups without names.)
        found, version = read_dir(Namespace(trace_dir=str(tmp_path / NEWEST), prefix=None))
        assert sorted(found) == ["rank_0", "rank_1"] and version
    finally:
        end(processes)


def test_ranks_that_watch_each_other_end_one_and_say_so_once(tmp_path: Path) -> None:
    processes = start(tmp_path, 2, "watching")
    try:
        assert processes[1].wait(timeout=200) == -9
        time.sleep(3)  # the other one has looked again
        (incident,) = incidents.read(tmp_path)
        assert incident.rank == 1 and incident.traceback
        assert "2 of 2 ranks of this machine are in flight-recorder/newest" in incident.what
        assert [len(collectives(tmp_path / NEWEST / f"rank_{rank}")) for rank in range(2)] == [2, 1]
    finally:
        end(processes)


def test_a_recorder_that_blocks_keeps_no_rank_alive(tmp_path: Path) -> None:
    processes = start(tmp_path, 1, "blocks")
    try:
        assert processes[0].wait(timeout=200) == 1
    finally:
        end(processes)


@pytest.mark.parametrize("recorder", [None, "fails"])
def test_without_a_recorder_nothing_is_written(
    recorder: str | None, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail() -> bytes:
        raise RuntimeError("out of memory")

    keep_collectives_in(tmp_path, first=True)
    functions = type("Functions", (), {"_dump_nccl_trace": staticmethod(fail)} if recorder else {})
    environment.setattr(torch._C, "_distributed_c10d", functions)
    environment.setattr(torch.distributed, "is_initialized", lambda: True)
    environment.setattr(flight_recorder, "SECONDS", 0.1)
    flight_recorder.write_collectives(tmp_path, 3)
    assert list((tmp_path / NEWEST).iterdir()) == []
    assert flight_recorder.wait_for_files(tmp_path, [3]).startswith("the last collectives of 0 of 1 ranks")
