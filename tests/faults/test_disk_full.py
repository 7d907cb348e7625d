"""A full disk: one clear line, nothing half-published, and the same command goes on when there is room."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.runs import STAGES, finish, start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", mount], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("mounting a small disk needs root")
    yield mount
    subprocess.run(["umount", mount], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["40k", "600k", "2m"])
def test_a_full_disk_is_one_line_and_can_be_mended(small_disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", small_disk], check=True)
    workspace = small_disk / "run"
    process = start(workspace)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors, errors
    assert "disk is full" in errors.splitlines()[-1]
    for stage in STAGES:
        assert not (workspace / stage).exists() or (workspace / stage / "manifest.json").exists()
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    finish(workspace)
    shutil.rmtree(workspace)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_disk_that_is_full_in_the_middle_of_each_stage(small_disk: Path) -> None:
    """All of them, with the report, and two ranks; ``small_disk`` says whether one can be mounted."""
    script = Path(__file__).parent / "injection" / "full_disks.py"
    paths = os.pathsep.join([str(script.parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["tried"] > 50
