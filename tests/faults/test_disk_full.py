"""A full disk: one clear line, nothing half-published, and the same command goes on when there is room."""

import shutil
import subprocess
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
