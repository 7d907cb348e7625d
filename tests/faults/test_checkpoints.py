"""Checkpoints that are damaged, that cannot be read, or whose last one could not be written: nothing sound is lost, and
no older weights are taken for finished ones. Real processes, real files; a user without root's rights where it matters.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from small import SMALL
from trainings import start

from altiplano.training.resilience import incidents

RECIPE = [*SMALL, "checkpoint.interval_steps=2", "checkpoint.keep=3", "recovery.max_restarts=1"]  # ten steps
KEPT = ["step-00000002", "step-00000004", "step-00000006"]
WITHOUT_ROOT = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


def train(
    folder: Path,
    tokens: Path,
    faults: list[dict[str, Any]] | None = None,
    layout: str = "dp1",
    before: list[str] | None = None,
    **changes: Any,
) -> tuple[int, str]:
    """A supervised job to its end: exit code and what it said. Training hangs no longer than the limit."""
    process = start(folder, tokens, layout, RECIPE, faults or [], before=before or [], **changes)
    try:
        errors, _ = process.communicate(timeout=150)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        errors, _ = process.communicate()
        pytest.fail(f"training hangs:\n{errors}")
    return process.returncode, errors


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def content(folder: Path) -> dict[Path, bytes]:
    files = (path for path in (folder / "checkpoints").rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def same_weights(a: Path, b: Path) -> bool:
    ours, theirs = (load_file(folder / "weights" / "model.safetensors") for folder in (a, b))
    return all(bool((value == theirs[name]).all()) for name, value in ours.items())


def flip(file: Path, text: bytes, bit: int = 1) -> None:
    """One bit of the character after ``text``."""
    raw = bytearray(file.read_bytes())
    raw[raw.index(text) + len(text)] ^= bit
    file.write_bytes(raw)


@pytest.fixture(scope="module")
def undisturbed(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    code, errors = train(folder, tokenized)
    assert code == 0, errors
    return folder


@pytest.fixture(scope="module")
def stopped(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stopped")
    code, errors = train(folder, tokenized, stop_after=6)
    assert code == 0, errors
    assert names(folder) == KEPT
    return folder


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    """A run of ten steps that stands at step 6, with three checkpoints."""
    shutil.copytree(stopped, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    "why",
    ["EACCES", *(pytest.param(why, marks=pytest.mark.slow) for why in ("EISDIR", "EIO", "ESTALE", "ENFILE"))],
)
def test_checkpoints_that_cannot_be_read_are_kept_and_training_stops(
    why: str, run: Path, tokenized: Path, undisturbed: Path
) -> None:
    files = [next((run / "checkpoints" / name).glob("*.distcp")) for name in KEPT]
    faults: list[dict[str, Any]] = []
    before: list[str] = []
    if why == "EACCES":
        if os.geteuid() == 0:
            before = WITHOUT_ROOT
            if not shutil.which("setpriv"):
                pytest.skip("setpriv is needed to be a user who may not read everything")
        for file in files:
            file.chmod(0)
    elif why == "EISDIR":
        for file in files:
            file.rename(file.with_suffix(".away"))
            file.mkdir()
    else:
        faults = [{"kind": "unreadable", "rank": 0, "step": 0, "error": why}]
    kept = content(run) if why != "EACCES" or os.geteuid() == 0 else {}
    code, errors = train(run, tokenized, faults, before=before)
    assert code == 2, errors
    assert "none of the 3 checkpoints in" in errors.splitlines()[-1]
    assert "is unreadable" in errors.splitlines()[-1]
    assert "--from-step-0" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert names(run) == KEPT
    assert not kept or content(run) == kept
    for file in files:  # mended, the same command goes on
        if why == "EISDIR":
            file.rmdir()
            file.with_suffix(".away").rename(file)
        file.chmod(0o644)
    code, errors = train(run, tokenized)
    assert code == 0, errors
    assert same_weights(run, undisturbed)


def test_one_that_cannot_be_read_is_set_aside_and_never_removed(run: Path, tokenized: Path, undisturbed: Path) -> None:
    file = next((run / "checkpoints" / KEPT[-1]).glob("*.distcp"))
    file.rename(file.with_suffix(".away"))
    file.mkdir()
    code, errors = train(run, tokenized)
    assert code == 0, errors
    assert "step-00000006 is unreadable" in errors
    assert "kept as unreadable-step-00000006; going on from step 4" in errors
    assert names(run) == ["step-00000006", "step-00000008", "step-00000010", "unreadable-step-00000006"]
    assert (run / "checkpoints" / "unreadable-step-00000006" / file.with_suffix(".away").name).stat().st_size
    assert same_weights(run, undisturbed)


@pytest.mark.slow
def test_damaged_ones_are_kept_when_told_to_begin_at_step_0(run: Path, tokenized: Path, undisturbed: Path) -> None:
    for name in KEPT:
        file = next((run / "checkpoints" / name).glob("*.distcp"))
        file.write_bytes(file.read_bytes()[:-1])
    damaged = content(run)
    code, errors = train(run, tokenized)
    assert code == 2, errors
    assert "none of the 3 checkpoints" in errors
    assert content(run) == damaged
    code, errors = train(run, tokenized, from_step_0=True)
    assert code == 0, errors
    assert "nothing removes them but you" in errors
    assert [name for name in names(run) if name.startswith("damaged")] == [f"damaged-{name}" for name in KEPT]
    after = content(run)
    for path, written in damaged.items():
        assert after[Path("checkpoints", f"damaged-{path.parts[1]}", *path.parts[2:])] == written
    assert same_weights(run, undisturbed)


def test_a_folder_of_checkpoints_that_is_not_there_is_not_a_new_run(run: Path, tokenized: Path) -> None:
    """As when what it lies on is not mounted."""
    (run / "checkpoints").rename(run / "elsewhere")
    metrics = (run / "metrics.jsonl").read_bytes()
    code, errors = train(run, tokenized)
    assert code == 2, errors
    assert "has no checkpoint, and the ledger tells of one of step 6" in errors.splitlines()[-1]
    assert (run / "metrics.jsonl").read_bytes() == metrics
    (run / "checkpoints").write_text("")  # and one that cannot be listed is not an empty one
    code, errors = train(run, tokenized)
    assert code != 0, errors
    assert (run / "metrics.jsonl").read_bytes() == metrics


@pytest.mark.parametrize(
    ("rank", "where", "error"),
    [
        (0, "_digests", "MemoryError"),
        pytest.param(1, "_digests", "RuntimeError", marks=pytest.mark.slow),
        pytest.param(0, "_publish", "KeyError", marks=pytest.mark.slow),
        pytest.param(1, "write_tensors", "MemoryError", marks=pytest.mark.slow),
        pytest.param(0, "write_tensors", "SystemExit", marks=pytest.mark.slow),
    ],
)
def test_an_error_in_the_last_save_never_makes_an_older_one_the_result(
    rank: int, where: str, error: str, tokenized: Path, tmp_path: Path
) -> None:
    fault = {"kind": "error in a save", "where": where, "error": error, "rank": rank, "step": 10}
    code, errors = train(tmp_path, tokenized, [{**fault, "always": True}], layout="dp2")
    assert code == 1, errors
    assert not (tmp_path / "weights").exists()
    assert error in incidents.read(tmp_path)[-1].what
    assert "step-00000008" in names(tmp_path)
    code, errors = train(tmp_path, tokenized, layout="dp2")  # what was broken is whole again
    assert code == 0, errors
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 10
    assert (tmp_path / "checkpoints" / "step-00000010").exists()


def test_an_error_while_older_ones_are_removed_holds_nobody_up(tokenized: Path, tmp_path: Path) -> None:
    fault = {"kind": "error in a save", "where": "prune", "error": "KeyError", "rank": 0, "step": 4, "always": True}
    code, errors = train(tmp_path, tokenized, [fault], layout="dp2")
    assert code == 0, errors
    assert "warning: earlier checkpoints were not removed" in errors
    assert len(names(tmp_path)) == 5
    assert not (tmp_path / "incidents.jsonl").exists()


@pytest.mark.parametrize("bit", [1, pytest.param(128, marks=pytest.mark.slow)])
def test_a_flipped_bit_in_an_older_manifest_stops_nobody(
    bit: int, run: Path, tokenized: Path, undisturbed: Path
) -> None:
    flip(run / "checkpoints" / KEPT[0] / "manifest.json", b'"tier": "', bit)
    code, errors = train(run, tokenized, layout="dp2")
    assert code == 0, errors
    assert "step-00000002 is kept: manifest.json" in errors
    assert errors.count("step-00000002 is kept") == 1
    assert names(run) == ["step-00000002", "step-00000006", "step-00000008", "step-00000010"]
    assert not (run / "incidents.jsonl").exists()


@pytest.mark.parametrize(("text", "bit"), [(b'"updates": ', 1), (b'"tier": "', 128), (b'"files": ', 32)])
def test_a_flipped_bit_in_the_newest_manifest_falls_back(
    text: bytes, bit: int, run: Path, tokenized: Path, undisturbed: Path
) -> None:
    flip(run / "checkpoints" / KEPT[-1] / "manifest.json", text, bit)
    code, errors = train(run, tokenized)
    assert code == 0, errors
    assert "step-00000006 is damaged" in errors
    assert "going on from step 4" in errors
    assert same_weights(run, undisturbed)
    assert not (run / "incidents.jsonl").exists()


def test_restarts_are_bounded_in_total(tokenized: Path, tmp_path: Path) -> None:
    kills = [{"kind": "kill", "rank": 0, "step": step} for step in (3, 5, 7, 9)]
    settings = [*RECIPE, "recovery.max_restarts_in_total=2"]
    process = start(tmp_path, tokenized, "dp1", settings, kills)
    errors, _ = process.communicate(timeout=150)
    assert process.returncode == 1, errors
    assert "started again 2 times by this command already: stopped" in errors
    assert len(incidents.read(tmp_path)) == 3


def test_two_requests_to_stop_still_save(tokenized: Path, tmp_path: Path) -> None:
    """SLURM tells every process of a job, and torchrun or the supervisor pass it on."""
    slow = [{"kind": "slow", "rank": 0, "step": 1, "steps": 9}]
    process = start(tmp_path, tokenized, "dp1", RECIPE, slow)
    metrics = tmp_path / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") == 3):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGTERM)
    os.killpg(process.pid, signal.SIGTERM)
    errors, _ = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert max(names(tmp_path)) == f"step-{metrics.read_text().count(chr(10)):08d}"


def test_the_lists_that_decide_what_is_trained_are_verified(run: Path, tokenized: Path, tmp_path: Path) -> None:
    shutil.copytree(tokenized, tmp_path / "tokens")
    flip(tmp_path / "tokens" / "shards.json", b'"tokens": ')
    code, errors = train(run, tmp_path / "tokens")
    assert code == 2, errors
    assert "shards.json is damaged" in errors.splitlines()[-1]
    (run / "skips.json").write_text('{"updates": [7], "samples": []}')
    code, errors = train(run, tokenized)
    assert code == 2, errors
    assert "skips.json has no checksum of its own" in errors.splitlines()[-1]


@pytest.mark.slow
def test_the_command_tells_how_much_disk_they_take(run: Path, tokenized: Path) -> None:
    file = next((run / "checkpoints" / KEPT[-1]).glob("*.distcp"))
    file.write_bytes(file.read_bytes()[:-1])
    assert train(run, tokenized)[0] == 0
    listed = subprocess.run(
        [sys.executable, "-m", "altiplano", "checkpoint", "list", str(run)], capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    assert "set aside, " in listed.stdout
    assert "damaged-step-00000006" in listed.stdout.splitlines()[-1]
