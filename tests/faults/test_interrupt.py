"""Ctrl-C in the middle of training: exit 130, a checkpoint, and the same command goes on to the same hashes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.runs import TINY, finish, hashes


@pytest.mark.parametrize("layout", ["dp1", "dp2"])
def test_control_c(layout: str, tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    overrides = [part for value in TINY for part in ("--set", value)]
    command = [sys.executable, "-m", "altiplano", "train", "quickstart", "--workspace", str(workspace)]
    command += ["--layout", layout, *overrides]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
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
        finish(tmp_path / "undisturbed")
        assert hashes(workspace) == hashes(tmp_path / "undisturbed")
