"""Whole runs of the command line in processes of their own, on the samples and with a model that trains in seconds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from once import built_once

STAGES = ("curate", "tokenize", "train", "evaluate", "calibrate", "redteam", "release")

TINY = [
    'corpus.sources=[{name="web",domain="web",format="warc",path="web/*.warc.gz"},'
    '{name="reference",domain="reference",format="text",path="reference/*.md"},'
    '{name="code",domain="code",format="code",path="code"}]',
    "model.hidden_size=64",
    "model.num_hidden_layers=2",
    "model.intermediate_size=160",
    "model.vocab_size=1024",
    "batch.sequence_length=64",
    "batch.tokens=1024",
    "batch.total_tokens=40960",
    "optimizer.warmup_steps=2",
    "evaluation.interval_steps=20",
    "evaluation.max_tokens=500",
    "checkpoint.interval_steps=5",
    "calibration.max_tokens=2000",
    "redteam.extraction_samples=10",
    "redteam.extraction_prefix=20",
    "redteam.extraction_suffix=20",
    "redteam.generation_tokens=8",
    "redteam.trials=4",
    "redteam.mode_trials=1",
]

WITHOUT_PYTORCH = "import sys; sys.modules['torch'] = None; from altiplano.cli import run; sys.exit(run(sys.argv[1:]))"


def start(
    workspace: Path,
    command: str = "run",
    extra: list[str] | None = None,
    layout: str = "dp1",
    *,
    check: bool = False,
    program: tuple[str, str] = ("-m", "altiplano"),
) -> subprocess.Popen[str]:
    overrides = [part for value in [*TINY, *(extra or [])] for part in ("--set", value)]
    options = ["--workspace", str(workspace), "--layout", layout, *overrides, *(["--check"] if check else [])]
    return subprocess.Popen(
        [sys.executable, *program, command, "quickstart", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(workspace: Path, command: str = "run", extra: list[str] | None = None) -> str:
    process = start(workspace, command, extra)
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    return errors


def whole_run(factory: pytest.TempPathFactory) -> Path:
    """The workspace of a run that nothing disturbed, which all tests share: none of them writes in it."""
    return built_once(factory, "undisturbed", _run_whole)


def _run_whole(workspace: Path) -> None:
    """Without PyTorch up to training: its import takes seconds, and the ranks need it, not what starts them."""
    process = start(workspace, "train", program=("-c", WITHOUT_PYTORCH))
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    finish(workspace)


def kill_within(workspace: Path, stage: str, delay: float) -> bool:
    """Start a run and kill -9 it ``delay`` seconds into ``stage``; whether the stage was still unfinished."""
    process = start(workspace)
    try:
        end = time.monotonic() + 200
        while not list((workspace / ".work").glob(f"{stage}-*")):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, f"{stage} never began"
            time.sleep(0.005)
        time.sleep(delay)
    finally:
        # The command alone is killed, as the kernel would: its workers must notice by themselves.
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    return not (workspace / stage / "manifest.json").exists()


def hashes(workspace: Path) -> dict[str, Any]:
    return {stage: json.loads((workspace / stage / "manifest.json").read_text())["hash"] for stage in STAGES}
