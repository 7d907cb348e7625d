"""Phases as stages of a run: in order, skipped when up to date, up to the one that was asked for."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.runs import TINY, finish
from pyarrow import parquet
from stages.test_torchrun_stages import CLUSTER, CURATE, RECIPE, TOKENIZE

from altiplano.cli import run as command
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.records.run_records import read_records
from altiplano.stages import run, train
from altiplano.stages.forget import find_documents, price
from altiplano.stages.stage import Context, Result
from altiplano.storage import digest

TRAININGS = ("train", "train-long", "train-anneal")

PHASES = (
    "phases=[{name='long', total_tokens=4096, sequence_length=128, learning_rate=1e-3, "
    "rope_scaling={original_max_position_embeddings=64}}, "
    "{name='anneal', total_tokens=4096, schedule='linear', learning_rate=1e-3}]"
)


def pretend(context: Context) -> Result:
    """A training that stops where it is told to."""
    steps = context.recipe.batch.steps
    done = min(steps, context.stop_after or steps)
    return Result({"steps": done}, finished=done == steps)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = (replace(CURATE, sources=None), TOKENIZE, replace(train.STAGE, run=pretend, sources=None))
    monkeypatch.setattr(run, "STAGES", stages)


def outcomes(workspace: Path, last: str = "train-anneal", **how: Any) -> list[tuple[str, str]]:
    recipe = how.pop("recipe", load_recipe("quickstart", ["corpus.root=/nowhere", PHASES.replace("4096", "1048576")]))
    found = run.run_until(last, recipe, CLUSTER, Layout(), workspace, **how)
    kept = found[2:] if found[0].stage == "curate" else found
    return [(one.stage, "skipped" if one.skipped else str(one.result.counts["steps"])) for one in kept]


def test_phases_run_one_after_another_and_once(toy: None, tmp_path: Path) -> None:
    main, phase = RECIPE.batch.steps, 1048576 // RECIPE.batch.tokens
    assert outcomes(tmp_path, "train") == [("train", str(main))]
    assert outcomes(tmp_path, stop_after=main) == [("train", "skipped")]
    assert outcomes(tmp_path, stop_after=main + 5) == [("train", "skipped"), ("train-long", "5")]
    assert outcomes(tmp_path) == [("train", "skipped"), ("train-long", str(phase)), ("train-anneal", str(phase))]
    assert outcomes(tmp_path) == [("train", "skipped"), ("train-long", "skipped"), ("train-anneal", "skipped")]
    changed = PHASES.replace("4096", "1048576").replace("1e-3}]", "2e-3}]")
    other = load_recipe("quickstart", ["corpus.root=/nowhere", changed])
    assert outcomes(tmp_path, recipe=other)[1:] == [("train-long", "skipped"), ("train-anneal", str(phase))]


def test_without_phases_the_workspace_is_as_it_was(toy: None, tmp_path: Path) -> None:
    assert outcomes(tmp_path, "train", recipe=RECIPE) == [("train", str(RECIPE.batch.steps))]
    # a recipe that gets phases later begins with what was trained
    assert outcomes(tmp_path)[0] == ("train", "skipped")


def test_a_training_must_be_named_to_be_computed_again(capsys: pytest.CaptureFixture[str]) -> None:
    again = ["train", "quickstart", "--set", PHASES, "--force"]
    assert command(again) == 2
    assert "--force: say which training with --phase: main, long, anneal" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_whole_run_with_phases_is_released_and_verified(tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    extra = ["batch.total_tokens=10240", PHASES, "average.checkpoints=2", "average.every_steps=1"]
    extra += ["checkpoint.retain_steps=5"]
    finish(workspace, "run", extra)
    assert finish(workspace, "run", extra).count("up to date") == 9
    config = json.loads((workspace / "release" / "config.json").read_text())
    assert config["max_position_embeddings"] == 128
    assert config["rope_scaling"]["original_max_position_embeddings"] == 64
    records = read_records(workspace)
    assert [one.stage for one in records.trainings] == ["train", "train-long", "train-anneal"]
    assert [line.step for line in records.metrics] == [*range(1, 19)]
    assert records.run is not None and (records.run.steps, records.run.tokens) == (18, 18432)
    card = (workspace / "release" / "README.md").read_text()
    assert "mean of 2 checkpoints, of steps 3, 4 of the last training" in card and "anneal: " in card
    assert command(["release", "verify", str(workspace / "release"), "--run", str(workspace), "--unsigned"]) == 0
    assert command(["audit", str(workspace), "--challenges", "1"]) == 0  # the last steps of the last phase, too
    assert command(["doctor", str(workspace), "--deep"]) == 0
    assert command(["report", str(workspace)]) == 0


def as_a_job(workspace: Path, extra: list[str], *command: str, ranks: int = 0) -> str:
    """A command of a job on a cluster: under torchrun, or beside it without devices."""
    overrides = [part for value in [*TINY, *extra] for part in ("--set", value)]
    agent = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks else []
    options = ["--workspace", str(workspace), "--layout", "dp2", *overrides]
    ended = subprocess.run(
        [sys.executable, *agent, "-m", "altiplano", *command, "quickstart", *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_training_is_a_job_of_torchruns(tmp_path: Path) -> None:
    """The same command goes on with the next phase once the weights of the one before are written."""
    extra = ["batch.total_tokens=10240", PHASES]
    as_a_job(tmp_path / "run", extra, "tokenize")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    for stage in TRAININGS:
        assert f"{stage}: trained; altiplano export" in as_a_job(tmp_path / "run", extra, "train", ranks=2)
        assert f"{stage}: done" in as_a_job(tmp_path / "run", extra, "export")
    as_a_job(tmp_path / "other", extra, "train")
    assert weights(tmp_path / "run") == weights(tmp_path / "other")


def until(is_so: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 240
    while not is_so():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


def forgetting(workspace: Path, documents: list[str], *, only_price: bool = False) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "altiplano",
        "forget",
        str(workspace),
        *documents,
        *([] if only_price else ["--yes"]),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def weights(workspace: Path) -> list[str]:
    return [digest(workspace / stage / "weights" / "model.safetensors") for stage in TRAININGS]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_document_of_a_phase_is_forgotten_although_interrupted(tmp_path: Path) -> None:
    """The training before it stays, the phase goes back to its checkpoint, the one after it begins anew."""
    workspace, fresh = tmp_path / "run", tmp_path / "fresh"
    # with longer rows it would be another order of samples, so every document would change the phase
    phases = PHASES.replace("total_tokens=4096, sequence_length=128", "total_tokens=8192", 1)
    extra = ["batch.total_tokens=4096", phases, "checkpoint.interval_steps=2", "checkpoint.retain_steps=2"]
    finish(workspace, "run", extra)
    shutil.copytree(workspace, tmp_path / "second")
    before = weights(workspace)
    table = parquet.read_table(workspace / "curate" / "documents", columns=["id", "split"]).to_pylist()
    cluster = load_cluster("laptop")
    for document in [row["id"] for row in table if row["split"] == "train"]:
        main, long, anneal = price(workspace, find_documents(workspace, [document]), cluster).trainings
        if main.steps == 0 and long.checkpoint and long.steps:
            break
    assert (main.steps, anneal.steps, anneal.begins_anew, long.begins_anew) == (0, 4, True, False)
    shown = forgetting(workspace, [document], only_price=True).communicate()[0]
    assert "phase anneal" in shown and "the beginning: the training before it changes" in shown

    process = forgetting(workspace, [document])
    until(lambda: list((workspace / ".work").glob("train-long-*/metrics.jsonl")), process)
    process.send_signal(signal.SIGINT)  # with the work of main done and that of the phase begun
    assert "interrupted" in process.communicate()[0] and process.returncode == 130
    process = forgetting(workspace, [document])  # the same command
    output = process.communicate()[0]
    assert process.returncode == 0, output
    assert f"went back to step {long.checkpoint:,}" in (workspace / "train-long" / "incidents.jsonl").read_text()

    recipe = load_recipe(str(workspace / "recipe.toml"))
    assert len(recipe.forget) == 1
    for stage in ("curate", "tokenize"):
        shutil.copytree(workspace / stage, fresh / stage)
    run.run_until("train-anneal", recipe, cluster, Layout(), fresh)
    assert weights(workspace) == weights(fresh)
    assert weights(workspace)[0] == before[0] and weights(workspace)[1] != before[1]
    # of a document that the first training read, all is trained again
    second = tmp_path / "second"
    for document in [row["id"] for row in table if row["split"] == "train"]:
        main, long, anneal = price(second, find_documents(second, [document]), cluster).trainings
        if main.steps:
            assert long.begins_anew and anneal.begins_anew and long.steps == 8
            break
