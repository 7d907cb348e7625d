"""What a training run measures: JSON lines as the truth, one line on the terminal for people."""

import os
import platform
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from altiplano.parallel.mesh import Mesh
from altiplano.peak_memory import peak_memory
from altiplano.records import HeldoutScores, StepMetrics
from altiplano.storage import rewrite_lines
from altiplano.training.callbacks import Callback, TrainingRun
from altiplano.training.job import Job
from altiplano.training.loggers import open_loggers

PLAIN_EVERY = 10.0  # seconds between lines when nobody watches


def drop_later(kind: type[StepMetrics] | type[HeldoutScores], path: Path, first_step: int) -> set[int]:
    """Drop the records of ``first_step`` and later ones, which a resumed run will write again; the steps that stay."""
    kept = [record for record in kind.read_lines(path) if record.step < first_step]
    rewrite_lines(path, [record.line() for record in kept])
    return {record.step for record in kept}


class MetricsWriter(Callback):
    """Writes what a session measures. Only the first process does; all of them may call."""

    def __init__(self, job: Job, first: int):
        """``first``: steps that were taken before; what is recorded of later ones is dropped."""
        self.writes = dist.get_rank() == 0
        self.metrics, self.scores = job.folder / "metrics.jsonl", job.folder / "heldout.jsonl"
        self.loggers = open_loggers(job.log_to, job.folder, job.recipe.name, first) if self.writes else []
        self.terminal = TerminalLine(job.recipe.batch.steps, first)
        self._open(first)

    def on_train_begin(self, run: TrainingRun) -> None:
        if self.writes and run.trainer.model.products is not None:
            self.terminal.note(str(run.trainer.model.products))

    def on_rollback_end(self, run: TrainingRun) -> None:
        self._open(run.step)
        for logger in self.loggers:
            logger.go_back(run.step)

    def _open(self, done: int) -> None:
        if self.writes:
            # Scores of step n are of the model after n steps, so those of the checkpoint's own step are already there.
            there = drop_later(StepMetrics, self.metrics, done + 1)
            if missing := [step for step in range(1, done + 1) if step not in there]:
                # as of a checkpoint that was set aside and came back after its steps were dropped
                print(
                    f"warning: {self.metrics} has no record of {len(missing):,} of the {done:,} steps before this one "
                    f"(the first is step {missing[0]:,}); the weights have them, reports will not",
                    file=sys.stderr,
                )
            drop_later(HeldoutScores, self.scores, done + 1 if done else 0)

    def on_log(self, run: TrainingRun, metrics: StepMetrics) -> None:
        if self.writes:
            metrics.append(self.metrics)
            self.terminal.show(metrics)
        for logger in self.loggers:
            logger.write(metrics)

    def on_evaluate(self, run: TrainingRun, scores: HeldoutScores) -> None:
        if self.writes:
            scores.append(self.scores)
            self.terminal.note(f"step {scores.step}: held-out {scores.total.bits_per_byte:.4f} bits per byte")
        for logger in self.loggers:
            logger.write(scores)

    def on_train_end(self, run: TrainingRun) -> None:
        for logger in self.loggers:
            logger.close()

    def past(self, steps: int) -> list[tuple[float, float, bool]]:
        """Loss, gradient norm and whether it was a spike, of the last ``steps`` ordinary steps, on every process."""
        found: list[list[tuple[float, float, bool]]] = [[]]
        if self.writes:
            for record in reversed(StepMetrics.read_lines(self.metrics)):
                if not record.skipped:
                    found[0].append((record.loss, record.gradient_norm, record.spike))
                if sum(not spike for _, _, spike in found[0]) == steps:
                    break
        dist.broadcast_object_list(found, src=0)
        return found[0][::-1]


class TerminalLine:
    """A live line on a terminal; otherwise a plain line now and then."""

    def __init__(self, steps: int, first_step: int):
        self.steps, self.first, self.started, self.last = steps, first_step, time.monotonic(), 0.0
        self.live = sys.stderr.isatty()

    def show(self, record: StepMetrics) -> None:
        now = time.monotonic()
        step = record.step
        if not self.live and now - self.last < PLAIN_EVERY and step < self.steps:
            return
        self.last = now
        left = (now - self.started) / max(1, step - self.first) * (self.steps - step)
        line = (
            f"step {step}/{self.steps}  loss {record.loss:.4f}  gradient {record.gradient_norm:.2f}  "
            f"lr {record.learning_rate:.2e}  {record.tokens_per_second:,.0f} tokens/s  "
            f"MFU {record.mfu:.0%}  {left // 60:.0f}:{left % 60:02.0f} left"
        )
        sys.stderr.write(f"\r\x1b[2K  {line}" + ("\n" if step == self.steps else "") if self.live else f"  {line}\n")
        sys.stderr.flush()

    def note(self, text: str) -> None:
        sys.stderr.write(("\r\x1b[2K" if self.live else "") + f"  {text}\n")


def memory_bytes(device: torch.device) -> int:
    """Peak bytes of this process so far: allocated on the GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return peak_memory()


def memory_by_pipeline_rank(mesh: Mesh) -> list[int]:
    """``memory_bytes`` of the process that needs most on each pipeline rank. All processes call it."""
    most = torch.zeros(mesh.group("pp").size(), dtype=torch.int64, device=mesh.device)
    most[mesh.rank("pp")] = memory_bytes(mesh.device)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return most.tolist()


def device_name(device: torch.device) -> str:
    """What people call this device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} ({os.cpu_count()} cores)"
    return f"{platform.processor() or platform.machine()} ({os.cpu_count()} cores)"
