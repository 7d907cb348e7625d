"""Tiny runs of seconds whose calls are made to fail, and where each begins."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from altiplano import storage
from altiplano.cli.main import run as altiplano
from altiplano.corpus.annotations import language_models
from altiplano.execution import map_shards
from altiplano.execution.local import InProcess
from altiplano.stages import run as stage_run
from altiplano.stages import supervise
from altiplano.stages.stage import Context, Result, Stage, code_version
from altiplano.training import supervisor
from altiplano.training.accounting import peak

TINY = [
    'corpus.sources=[{name="reference",domain="reference",format="text",path="reference/*.md"},'
    '{name="essays",domain="web",format="text",path="essays/*.md"}]',
    "corpus.benchmarks=[]",
    "corpus.heldout.fraction=0.3",
    "corpus.heldout.min_documents=2",
    "model.hidden_size=16",
    "model.num_hidden_layers=1",
    "model.num_attention_heads=2",
    "model.num_key_value_heads=1",
    "model.intermediate_size=32",
    "model.vocab_size=544",
    "batch.sequence_length=32",
    "batch.tokens=128",
    "batch.total_tokens=512",
    "optimizer.warmup_steps=1",
    "precision.compute=float32",
    "evaluation.interval_steps=4",
    "evaluation.max_tokens=64",
    "evaluation.benchmarks=[]",
    "checkpoint.interval_steps=1",
    "checkpoint.keep=2",
    "recovery.hang_seconds=20",
    "recovery.init_seconds=60",
    "recovery.max_restarts=1",
    "calibration.max_tokens=500",
    "redteam.extraction_samples=2",
    "redteam.extraction_prefix=8",
    "redteam.extraction_suffix=8",
    "redteam.generation_tokens=2",
    "redteam.trials=1",
    "redteam.mode_trials=0",
    "redteam.gate.limits={misinformation=1.0}",
]


@dataclass(frozen=True)
class Scenario:
    """``command`` is made to fail, after ``before`` has run undisturbed."""

    name: str
    before: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]

    toy: bool = False
    """With stages that only write a file: all of the stage runner, in milliseconds."""
    ranks: bool = False
    """It forks a supervisor, and that one ranks."""
    apart: bool = False
    """All its calls are tried, also those that are equal to ones of a scenario before: most can be lost here."""

    def run(self, workspace: Path) -> int:
        if self.toy:
            stage_run.STAGES = TOYS
        return run(workspace, *self.command)


def toy(ctx: Context) -> Result:
    text = "".join((folder / "text.json").read_text() for folder in ctx.inputs.values())
    storage.write_json(ctx.folder / "text.json", text + str(ctx.recipe.seed))
    storage.append_line(ctx.folder / "log.jsonl", "{}")
    storage.read_lines(ctx.folder / "log.jsonl")
    return Result({"characters": len(text)}, records=("log.jsonl",))


TOYS = (
    Stage("curate", reads=("seed",), inputs=(), run=toy),
    Stage("tokenize", reads=("seed",), inputs=("curate",), run=toy),
)


STOPPED = ("train", "--steps", "2")
SCENARIOS = (
    Scenario("stages", (), ("tokenize",), toy=True),
    Scenario("resume", (("tokenize",), STOPPED), ("train",), ranks=True, apart=True),
    Scenario("two ranks", (("tokenize",), (*STOPPED, "--layout", "dp2")), ("train", "--layout", "dp2"), ranks=True),
    Scenario("train", (("tokenize",),), ("train",), ranks=True),
    Scenario("tokenize", (("curate",),), ("tokenize",)),
    Scenario("curate", (), ("curate",)),
    Scenario("evaluate", (("train",),), ("evaluate",)),
    Scenario("calibrate", (("evaluate",),), ("calibrate",)),
    Scenario("redteam", (("calibrate",),), ("redteam",)),
    Scenario("release", (("redteam",),), ("run",)),
)
"""In this order: a call that is equal to one of a scenario before is not tried again."""


def run(workspace: Path, command: str, *options: str) -> int:
    """One command of Altiplano in this process; its exit code."""
    overrides = [part for value in TINY for part in ("--set", value)]
    return altiplano([command, "quickstart", "--workspace", str(workspace), *overrides, *options])


class InThisProcess(InProcess):
    """In place of the processes of an engine."""

    def __init__(self, count: int):
        super().__init__()

    def close(self) -> None:
        pass


class Forked:
    """In place of ``subprocess.Popen`` of a supervisor: a fork of this process, which has imported all."""

    def __init__(self, command: list[str], **_: Any):
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            sys.argv = command[2:]
            code = 1
            try:
                code = supervisor.main()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def prepare(scenario: Scenario) -> None:
    """This process and its forks start no interpreter, no worker process, no thread that computes (a fork would wait
    for those of its parent for ever), and measure no speed."""
    torch.set_num_threads(1)
    map_shards.Processes = InThisProcess  # type: ignore[assignment, misc]
    supervise.subprocess = Namespace(subprocess, Popen=Forked)  # type: ignore[assignment]
    peak.matmul_peak = lambda *_: 1e9
    supervisor.GRACE_SECONDS = 1.0
    if scenario.name == "curate":
        language_models.first()
    for one in stage_run.STAGES:
        code_version(one.code)


def warm(scenario: Scenario, workspace: Path) -> None:
    """Run the command in this process, so that no fork has to compile or build tables. Not one that forks ranks: what
    computes starts threads, which forks do not have. Nor one of toys, which stay where they are put."""
    if not scenario.ranks and not scenario.toy:
        with (workspace.parent / "warm").open("w") as log, redirect_stdout(log), redirect_stderr(log):
            code = scenario.run(workspace)
        if code:
            raise SystemExit(f"{scenario.name}: exit code {code}\n{(workspace.parent / 'warm').read_text()}")
    gc.collect()
    gc.freeze()  # forks do not copy what the collector would touch


class Namespace:
    def __init__(self, module: Any, **others: Callable[..., Any]):
        self.__dict__.update(vars(module))
        self.__dict__.update(others)
