"""What TensorBoard and W&B show is what is on record, through resumption and rollback."""

import builtins
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from altiplano.errors import InputError
from altiplano.records import HeldoutScores, StepMetrics, TextScores
from altiplano.training.loggers import TensorBoard, check_loggers, open_loggers


def metrics(step: int, loss: float) -> StepMetrics:
    return StepMetrics(
        step=step,
        tokens=1024 * step,
        loss=loss,
        gradient_norm=1.0,
        learning_rate=0.1,
        seconds=1.0,
        data_seconds=0.0,
        tokens_per_second=1024.0,
        mfu=0.5,
        memory_bytes=1,
        note="text",  # of a callback
    )


HELDOUT = HeldoutScores(
    step=2,
    tokens=2048,
    groups={"web.en": TextScores(bits_per_byte=1.5, perplexity=9.0, nll=3.0, tokens=1, bytes=2)},
    total=TextScores(bits_per_byte=1.25, perplexity=8.0, nll=4.0, tokens=1, bytes=2),
)


def shown(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_shows_the_records(tmp_path: Path) -> None:
    (view,) = open_loggers(["tensorboard"], tmp_path, "test", 0)
    for step in (1, 2):
        view.write(metrics(step, 1 / step))
        assert shown(tmp_path, "train/loss")[-1] == (step, 1 / step)  # at once, not when the run ends
    view.write(HELDOUT)
    view.close()
    assert shown(tmp_path, "train/tokens") == [(1, 1024.0), (2, 2048.0)]
    assert shown(tmp_path, "heldout/web.en/bits_per_byte") == [(2, 1.5)]
    assert shown(tmp_path, "heldout/total/perplexity") == [(2, 8.0)]
    names = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["scalars"]
    assert "train/note" not in names and "train/step" not in names


def test_steps_that_were_taken_back_are_not_shown(tmp_path: Path) -> None:
    view = TensorBoard(tmp_path, 0)
    for step in (1, 2, 3, 4):
        view.write(metrics(step, step))
    view.go_back(2)  # a rollback within the session
    view.write(metrics(3, 30))
    view.write(metrics(4, 40))
    view.close()
    again = TensorBoard(tmp_path, 3)  # a session that resumes after step 3
    again.write(metrics(4, 400))
    again.close()
    assert shown(tmp_path, "train/loss") == [(1, 1.0), (2, 2.0), (3, 30.0), (4, 400.0)]


def test_missing_libraries_and_unknown_views_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'tensorboard is an optional package: pip install "altiplano\[tensorboard\]"'):
        check_loggers(["tensorboard"])
    with pytest.raises(InputError, match="moon is not a view of a run; choose from tensorboard, wandb"):
        check_loggers(["moon"])


def test_wandb_offline_keeps_one_run_over_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("asked the terminal"))
    identities = set()
    for first in (1, 3):
        (view,) = open_loggers(["wandb"], tmp_path, "test", first - 1)
        view.write(metrics(first, 0.5))
        view.write(metrics(first + 1, 0.25))
        view.write(HELDOUT)
        view.go_back(first)
        assert dict(view.run.summary)["train/loss"] == 0.25  # type: ignore[attr-defined]
        identities.add(view.run.id)  # type: ignore[attr-defined]
        view.close()
    assert len(identities) == 1
    files = list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    deadline = time.monotonic() + 30  # its own process may still be writing
    while not all(b"train/loss" in file.read_bytes() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.1)
