"""What of training is virtual in a campaign: the model, the ranks, the files of tensors; all else is the real code.

Weights are one number that depends on every sample that was ever applied, in order: a step that is lost, repeated or
taken out of order shows.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from altiplano import storage
from altiplano.records import HeldoutScores, StepMetrics, TextScores
from altiplano.stages import run as stage_run
from altiplano.training import callbacks, loop, metrics, supervisor, trainer, worker
from altiplano.training.accounting import ledger
from altiplano.training.callbacks import Callback, TrainingRun
from altiplano.training.checkpoints import checkpoint, loading, saving
from altiplano.training.resilience import heartbeat, incidents, rollback
from altiplano.training.skips import Skips
from faults.simulation.world import Clock, Meeting, Process, Threads, World

STEPS, RANKS, SEQUENCES = 180, 2, 8
STEP_SECONDS = 600.0
MODULUS = 2**61 - 1
RECIPE = [
    "model.hidden_size=64",
    "model.num_hidden_layers=1",
    "model.intermediate_size=160",
    "model.vocab_size=768",
    "batch.sequence_length=64",
    f"batch.tokens={SEQUENCES * 64}",
    f"batch.total_tokens={STEPS * SEQUENCES * 64}",
    "optimizer.warmup_steps=2",
    "evaluation.interval_steps=60",
    "evaluation.benchmarks=[]",
    "checkpoint.interval_steps=24",
    "checkpoint.rolling_steps=4",
    "checkpoint.rolling_minutes=0",
    "guards.spike_window=16",
    "guards.spike_zscore=8",
    "recovery.hang_seconds=2400",
    "recovery.init_seconds=3600",
    "recovery.check_weights_every=0",
    "recovery.check_speed_every=0",
    "recovery.max_restarts=5",
    "recovery.max_restarts_in_total=1000",
]


@dataclass
class Start:
    """The ranks of one start and what they said to one another."""

    processes: list[Process]
    newest: int = 0
    """Step of the newest checkpoint that these ranks have seen, since they last went back."""
    reached: int = 0
    messages: dict[Any, dict[int, Any]] = field(default_factory=dict)


_prefixes: dict[Any, list[int]] = {}


def trained(skips: Skips, batch: Any, steps: int) -> int:
    """The weights after so many steps that leave out what ``skips`` says."""
    found = _prefixes.setdefault((frozenset(skips.updates), tuple(skips.samples)), [1])
    for step in range(len(found) - 1, steps):
        weights = found[-1]
        if step not in skips.updates:
            for sample in skips.kept(batch.samples(step)):
                weights = (weights * 48271 + int(sample) + 1) % MODULUS
        found.append(weights)
    return found[steps]


class Training(trainer.Trainer):
    """The real trainer, whose model is a number."""

    campaign: Any

    def batch(self) -> Any:
        self.campaign.world.sleep(1.0)
        return self.samples(self.done)

    def step(self, batch: Any, flags: Callable[[], Sequence[bool]] = list) -> StepMetrics:
        step, campaign = self.done, self.campaign
        campaign.before_step(self)
        campaign.process.stepping = True
        campaign.world.sleep(STEP_SECONDS * campaign.world.random.uniform(0.97, 1.03) * campaign.process.slow)
        campaign.process.stepping = False
        campaign.raise_if_due()
        loss = 6.0 - 3.0 * step / STEPS + 0.01 * ((step * 7919) % 13)
        if any(campaign.is_poison(int(sample)) for sample in batch):
            loss += 30.0
        value = torch.tensor([float("nan") if campaign.not_finite(step) else loss], dtype=torch.float64)
        one = torch.tensor(1.0, dtype=torch.float64)
        total, norm, finite, self.agreed = trainer._on_all_ranks(value[0], one, *flags())
        self._update(step, finite)
        self.done += 1
        batches = self.job.recipe.batch
        return StepMetrics(
            step=self.done,
            tokens=batches.tokens_after(self.done),
            loss=total if finite else loss,
            gradient_norm=norm,
            learning_rate=0.1,
            skipped=step in self.skips.updates,
        )

    def evaluate(self) -> HeldoutScores:
        self.campaign.world.sleep(120.0)
        scores = TextScores(nll=1.0, tokens=1, bytes=1, perplexity=1.0, bits_per_byte=1.0)
        return HeldoutScores(step=self.done, tokens=self.done, groups={}, total=scores)


class Optimizer:
    """Applies the samples of the step to the number."""

    def __init__(self, of: Training):
        self.of = of

    def step(self) -> None:
        weights = int(self.of.tensors["model.w"])
        for sample in self.of.samples(self.of.done):
            weights = (weights * 48271 + int(sample) + 1) % MODULUS
        self.of.tensors["model.w"].fill_(weights)


class Throughput(Callback):
    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        metrics.tokens_per_second, metrics.mfu = 1.0, 0.4

    def on_train_end(self, run: TrainingRun) -> None:
        run.results["peak"] = {"matmul_peak_flops": 1.0, "matmul_measured_flops": 1.0, "busy": False}


class Stop(Callback):
    """As ``Interruption``, for signals of the virtual world."""

    def __init__(self, campaign: Any):
        self.process = campaign.process

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        run.should_stop |= self.process.asked_to_stop

    def on_train_end(self, run: TrainingRun) -> None:
        run.results["signalled"] = self.process.asked_to_stop and run.step < run.end


class VirtualRanks:
    """In the place of ``Ranks``."""

    def __init__(self, world: World, start: Start):
        self.world, self.start = world, start
        self.alive = {process.pid: process.rank for process in start.processes}

    def ended(self) -> list[tuple[int, int]]:
        gone = [one for one in self.start.processes if one.pid in self.alive and not one.alive]
        for process in gone:
            del self.alive[process.pid]
        return [(process.rank, int(process.code or 0)) for process in gone]

    def signal(self, number: int) -> None:
        for process in self.start.processes:
            if process.alive and number == 9:
                process.alive, process.code = False, -9
            process.asked_to_stop |= number != 9


@contextmanager
def installed(campaign: Any) -> Iterator[None]:
    """The virtual world in the place of the real one; for good, as a campaign has a process of its own."""
    world, disk, network, clock = campaign.world, campaign.disk, campaign.network, Clock(campaign.world)
    for module in (supervisor, ledger, heartbeat, incidents, saving, loop, metrics, stage_run):
        module.time = clock  # type: ignore[attr-defined]
    for module in (saving, loading, trainer, callbacks, metrics, rollback, worker):
        module.dist = network  # type: ignore[attr-defined]
    saving.threading = Threads(world)  # type: ignore[assignment]
    saving.LOOK_SECONDS = 30.0
    saving.Meeting = lambda: Meeting(network)  # type: ignore[assignment, misc]
    saving.write_tensors = campaign.write_tensors
    usage = lambda folder: SimpleNamespace(free=100 if disk.checkpoints() < disk.capacity else 0)  # noqa: E731
    saving.shutil = SimpleNamespace(disk_usage=usage)  # type: ignore[assignment]
    loading.dcp = SimpleNamespace(load=campaign.load)  # type: ignore[assignment]
    reader = lambda path: SimpleNamespace(path=path, read_metadata=lambda: None)  # noqa: E731
    loading.CheckpointReader = reader  # type: ignore[assignment, misc]
    loading.check_shapes = lambda *_: None
    trainer.set_initial_weights = lambda part, recipe: part.fill_(1)  # type: ignore[assignment]
    for module in (saving, checkpoint):
        module.digest = campaign.digest  # type: ignore[attr-defined]
        module.sync = disk.sync  # type: ignore[attr-defined]
    storage.sync = disk.sync
    rename = Path.rename
    Path.rename = lambda self, target: disk.rename(rename, self, Path(target))  # type: ignore[method-assign]
    heartbeat.os = SimpleNamespace(**{**vars(os), "getpid": lambda: world.current.process.pid})  # type: ignore[assignment]
    for module in (supervisor, heartbeat):  # processes of this world have no stacks
        module.stack_of = lambda *_: ""  # type: ignore[attr-defined]
    worker.stack_shown_when_asked = lambda *_: nullcontext()  # type: ignore[assignment]
    supervisor.Ranks = campaign.ranks  # type: ignore[assignment, misc]
    supervisor.POLL_SECONDS, supervisor.LOOK_SECONDS, supervisor.GRACE_SECONDS = 10.0, 120.0, 5.0
    quiet = {"signal": lambda *_: None, "pthread_sigmask": lambda *_: None}  # which only main threads may call
    supervisor.signal = SimpleNamespace(**{**vars(supervisor.signal), **quiet})  # type: ignore[assignment]
    loop.prepare, loop.Interruption = campaign.prepare, lambda: Stop(campaign)  # type: ignore[assignment, misc]
    loop.MeasureThroughput = lambda *_: Throughput()  # type: ignore[assignment, misc]
    loop.ReportSlowRanks = loop.CollectGarbage = Callback  # type: ignore[misc, assignment]
    loop.memory_by_pipeline_rank = lambda mesh: [1]
    worker.Tokenizer = SimpleNamespace(load=lambda folder: SimpleNamespace(bos=0))  # type: ignore[assignment, misc]
    mesh = SimpleNamespace(device=torch.device("cpu"), rank=lambda name: 0, size=lambda name: 1)
    worker.start_mesh = lambda *_: mesh  # type: ignore[assignment, return-value]
    worker.keep_freed_memory = lambda: None
    worker.device_name = lambda device: "virtual"
    supervisor.in_forked_processes = campaign.export
    opened = Path.open

    def watched_open(self: Path, *arguments: Any, **named: Any) -> Any:
        file = opened(self, *arguments, **named)
        if self.name == ".lock" and world.current.process is world.command:
            campaign.lock_files.append(file)
        return file

    Path.open = watched_open  # type: ignore[method-assign, assignment]
    yield
