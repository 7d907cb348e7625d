"""Ctrl-C in the middle of training: exit 130, a checkpoint, and the same command goes on to the same hashes."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from faults.runs import finish, hashes, start, whole_run


@pytest.mark.parametrize("layout", [pytest.param("dp1", marks=pytest.mark.slow), "dp2"])
def test_control_c(layout: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    workspace, undisturbed = tmp_path / "run", whole_run(tmp_path_factory)
    for stage in ("curate", "tokenize"):
        shutil.copytree(undisturbed / stage, workspace / stage)
    process = start(workspace, "train", layout=layout)
    end = time.monotonic() + 120
    while not any(path.stat().st_size for path in (workspace / ".work").glob("train-*/metrics.jsonl")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted; the same command goes on" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    saved = list((workspace / ".work").glob("train-*/checkpoints/step-*"))
    assert saved
    if layout == "dp1":
        finish(workspace)
        assert hashes(workspace) == hashes(undisturbed)


@pytest.mark.slow
def test_control_c_while_the_ranks_start_is_not_lost(tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    finish(workspace, "tokenize")
    process = start(workspace, "train", layout="dp2")
    end = time.monotonic() + 60
    while not list((workspace / ".work").glob("train-*/job.json")):
        assert time.monotonic() < end
        time.sleep(0.002)
    time.sleep(0.3)  # importing torch, no rank yet
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    (metrics,) = (workspace / ".work").glob("train-*/metrics.jsonl")
    assert len(metrics.read_text().splitlines()) == 1  # the step in progress ended


@pytest.mark.slow
def test_kill_nine_leaves_no_rank_behind(tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    process = start(workspace, "train", layout="dp2")
    end = time.monotonic() + 120
    while not any(path.stat().st_size for path in (workspace / ".work").glob("train-*/metrics.jsonl")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while still_there := ranks_of(workspace):
        assert time.monotonic() < end, still_there
        time.sleep(0.05)


def ranks_of(workspace: Path) -> list[str]:
    """Processes that were given a file of this workspace."""
    commands = Path("/proc").glob("[0-9]*/cmdline")
    return [str(path) for path in commands if str(workspace) in path.read_bytes().decode(errors="replace")]
