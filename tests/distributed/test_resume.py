"""Stopping, killing and continuing a training run, on the same layout and on others."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from small import SMALL
from trainings import records, relative, run, start, weights

from altiplano.recipe.schema import CheckpointConfig
from altiplano.records import CheckpointManifest
from altiplano.training.checkpoints.checkpoint import MANIFEST
from altiplano.training.checkpoints.saving import prune

EXACT = [*SMALL, "precision.compute=float64"]


@pytest.fixture(scope="module")
def undisturbed(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder, tokenized, "dp1", EXACT)
    return folder


def wait_for_step(folder: Path, step: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        metrics = folder / "metrics.jsonl"
        if metrics.exists() and len(metrics.read_text().splitlines()) >= step:
            return
        time.sleep(0.02)
    raise TimeoutError(f"step {step} was not reached")


def same_weights(a: Path, b: Path) -> bool:
    ours, theirs = weights(a), weights(b)
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_kill_nine_and_again_is_bitwise_the_same(undisturbed: Path, tokenized: Path, tmp_path: Path) -> None:
    process = start(tmp_path, tokenized, "dp1", EXACT)
    wait_for_step(tmp_path, 7)
    process.kill()
    process.wait()
    run(tmp_path, tokenized, "dp1", EXACT, fresh=True)  # with another seed of hashes
    assert same_weights(tmp_path, undisturbed)
    for file in ("metrics.jsonl", "heldout.jsonl"):
        ours, theirs = records(tmp_path / file), records(undisturbed / file)
        assert [r["step"] for r in ours] == [r["step"] for r in theirs]
    assert [r["step"] for r in records(tmp_path / "heldout.jsonl")] == [0, 5, 10]
    assert [r["loss"] for r in records(tmp_path / "metrics.jsonl")] == [
        r["loss"] for r in records(undisturbed / "metrics.jsonl")
    ]


@pytest.mark.slow
def test_every_layout_continues_every_other(undisturbed: Path, tokenized: Path, tmp_path: Path) -> None:
    for layout, stop in (("dp2.tp2.pp2", 2), ("dp1", 3), ("dp4.rep2", 5), ("cp2.pp2.zbv", 7), ("dp3", None)):
        run(tmp_path, tokenized, layout, EXACT, stop_after=stop)
    for ours, theirs in zip(records(tmp_path / "metrics.jsonl"), records(undisturbed / "metrics.jsonl"), strict=True):
        assert relative(ours["loss"], theirs["loss"]) < 1e-9
    final = weights(undisturbed)
    for name, value in weights(tmp_path).items():
        assert (value - final[name]).norm() < 1e-6 * final[name].norm(), name


def test_interruption_saves_a_checkpoint_on_all_ranks(undisturbed: Path, tokenized: Path, tmp_path: Path) -> None:
    process = start(tmp_path, tokenized, "dp2", EXACT)
    wait_for_step(tmp_path, 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    (saved,) = [path.name for path in (tmp_path / "checkpoints").glob("step-*")]
    done = len(records(tmp_path / "metrics.jsonl"))
    assert saved == f"step-{done:08d}"
    assert done < 10
    run(tmp_path, tokenized, "dp2", EXACT)
    assert len(records(tmp_path / "metrics.jsonl")) == 10


def test_a_dead_rank_starts_all_again(tokenized: Path, tmp_path: Path) -> None:
    run(tmp_path / "undisturbed", tokenized, "dp2", EXACT)
    process = start(tmp_path / "killed", tokenized, "dp2", EXACT)
    wait_for_step(tmp_path / "killed", 7)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    # From the beginning where the machine is so busy that the checkpoint of step 5 was not yet written.
    assert re.search(r"rank 1 was ended by SIGKILL; starting again from step [05]\b", output), output
    assert same_weights(tmp_path / "killed", tmp_path / "undisturbed")
    assert all(not Path(f"/proc/{child}").exists() for child in children)


def test_a_damaged_checkpoint_is_passed_over(undisturbed: Path, tokenized: Path, tmp_path: Path) -> None:
    run(tmp_path, tokenized, "dp1", [*EXACT, "checkpoint.interval_steps=2"], stop_after=8)
    newest = sorted((tmp_path / "checkpoints").glob("step-*"))[-1]
    victim = next(newest.glob("*.distcp"))
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(raw)
    process = start(tmp_path, tokenized, "dp1", [*EXACT, "checkpoint.interval_steps=2"])
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "step-00000008 is damaged" in output
    # It is kept under another name, and does not count among those that make others superfluous.
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["damaged-step-00000008", "step-00000008", "step-00000010"]
    assert (tmp_path / "checkpoints" / "damaged-step-00000008" / victim.name).read_bytes() == bytes(raw)
    assert "nothing removes them but you" in output
    assert same_weights(tmp_path, undisturbed)


def test_stopping_where_it_already_stands_trains_no_further(tokenized: Path, tmp_path: Path) -> None:
    for _ in range(2):
        run(tmp_path, tokenized, "dp1", EXACT, stop_after=3)
        assert len(records(tmp_path / "metrics.jsonl")) == 3


def test_pruning_leaves_what_is_later_than_the_newest_alone(tmp_path: Path) -> None:
    for step in (50, 75, 100):
        (tmp_path / f"step-{step:08d}").mkdir()
        CheckpointManifest(step=step).write(tmp_path / f"step-{step:08d}" / MANIFEST)
    prune(tmp_path, tmp_path / "step-00000075", CheckpointConfig(keep=1), {75, 100})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000075", "step-00000100"]
