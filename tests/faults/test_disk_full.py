"""A full disk: one clear line, nothing half-published, nothing sound lost, and the same command goes on when there is
room. On a real small file system for every stage; ``make fault-injection`` has every single call."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.injection.scenarios import TINY
from faults.runs import STAGES, finish, hashes, start

PAGE = 4096


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", mount], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("mounting a small disk needs root")
    yield mount
    subprocess.run(["umount", mount], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def stops_with_one_line(workspace: Path, command: str, extra: list[str] | None = None) -> None:
    process = start(workspace, command, extra)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors, errors
    assert "disk is full" in errors.splitlines()[-1], errors
    assert "free some space, then the same command goes on" in errors.splitlines()[-1], errors


@pytest.mark.slow
@pytest.mark.parametrize("size", ["40k", "600k", "2m"])
def test_a_full_disk_is_one_line_and_can_be_mended(small_disk: Path, size: str) -> None:
    resize(small_disk, size)
    workspace = small_disk / "run"
    stops_with_one_line(workspace, "run")
    for stage in STAGES:
        assert not (workspace / stage).exists() or (workspace / stage / "manifest.json").exists()
    resize(small_disk, "200m")
    finish(workspace)
    shutil.rmtree(workspace)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(workspace, extra=TINY)
    return workspace


def pages(folder: Path) -> int:
    return sum(-(-path.stat().st_size // PAGE) + 1 for path in [folder, *folder.rglob("*")])


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.6])
@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_is_full_in_the_middle_of_a_stage(
    stage: str, share: float, undisturbed: Path, small_disk: Path
) -> None:
    """With room for this share of what the stage writes."""
    workspace, wanted = small_disk / "run", hashes(undisturbed)
    before = STAGES[: STAGES.index(stage)]
    for one in before:
        shutil.copytree(undisturbed / one, workspace / one)
    shutil.copy(undisturbed / "recipe.toml", workspace) if before else workspace.mkdir()
    used = shutil.disk_usage(small_disk).used
    room = int(share * pages(undisturbed / stage))
    resize(small_disk, f"{used // 1024 + 4 * max(1, room)}k")
    stops_with_one_line(workspace, stage, TINY)
    assert not (workspace / stage / "manifest.json").exists()
    resize(small_disk, "200m")
    assert hashes(workspace, before) == {one: wanted[one] for one in before}
    finish(workspace, stage, TINY)
    assert hashes(workspace, (*before, stage)) == {one: wanted[one] for one in (*before, stage)}


@pytest.mark.slow
def test_a_disk_that_is_full_when_the_report_is_written(undisturbed: Path, small_disk: Path) -> None:
    """The report of before stays whole."""
    workspace = small_disk / "run"
    shutil.copytree(undisturbed, workspace)
    report = (workspace / "report.html").read_bytes()
    command = ["python", "-m", "altiplano", "report", str(workspace)]
    resize(small_disk, f"{shutil.disk_usage(small_disk).used // 1024 + 4}k")
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2, done.stderr
    assert "disk is full" in done.stderr.splitlines()[-1]
    assert (workspace / "report.html").read_bytes() == report
    resize(small_disk, "200m")
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    assert (workspace / "report.html").stat().st_size
