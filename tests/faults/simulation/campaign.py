"""One training run in a virtual world: the real supervisor, ranks, loop, saver, ledger, guards; faults from a seed.

Simulated are time, processes, collectives, what a disk loses, and arithmetic: weights are one number that depends on
every sample that was ever applied, in order, so that any step lost, repeated or taken out of order shows.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.distributed as real_dist
from torch.distributed.checkpoint.api import CheckpointException

from altiplano import storage
from altiplano.errors import InputError
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.records import HeldoutScores, StepMetrics, TextScores
from altiplano.stages import run as stage_run
from altiplano.training import callbacks, loop, metrics, supervisor, trainer, worker
from altiplano.training.accounting import goodput, ledger
from altiplano.training.callbacks import Callback, TrainingRun
from altiplano.training.checkpoints import checkpoint, saving
from altiplano.training.job import Job
from altiplano.training.resilience import heartbeat, incidents, rollback
from altiplano.training.skips import Skips
from faults.simulation.world import Clock, Disk, Network, Process, Threads, Violation, World

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
RECOVERIES = 5
HONEST = (1, 2, 130)
"""Exit codes of a command that says why it stops."""


@dataclass
class Start:
    """The ranks of one start and what they said to one another."""

    processes: list[Process]
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

    def batch(self) -> Any:
        self.campaign.world.sleep(1.0)
        return self.samples(self.done)

    def step(self, batch: Any) -> StepMetrics:
        step, campaign = self.done, self.campaign
        campaign.before_step(self)
        campaign.world.sleep(STEP_SECONDS * campaign.world.random.uniform(0.97, 1.03) * campaign.process.slow)
        loss = 6.0 - 3.0 * step / STEPS + 0.01 * ((step * 7919) % 13)
        if any(campaign.is_poison(int(sample)) for sample in batch):
            loss += 30.0
        value = torch.tensor([float("nan") if campaign.not_finite(step) else loss], dtype=torch.float64)
        total, norm, finite = trainer._on_all_ranks(value[0], torch.tensor(1.0, dtype=torch.float64))
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

    def __init__(self, campaign: "Campaign"):
        self.process = campaign.process

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        run.should_stop |= self.process.asked_to_stop

    def on_train_end(self, run: TrainingRun) -> None:
        run.results["signalled"] = self.process.asked_to_stop and run.step < run.end


class Campaign:
    """Runs until training is done; raises Violation when anything happens that never may."""

    def __init__(self, seed: int, folder: Path, faults_per_hour: float = 1 / 4, plain: bool | None = None):
        self.seed, self.folder = seed, folder
        self.world = World(seed)
        self.plain = seed % 3 == 0 if plain is None else plain
        self.disk = Disk(self.world, folder)
        self.network = Network(self.world, real_dist, RANKS)
        self.rate = faults_per_hour
        self.starts: list[Start] = []
        self.done, self.jumped, self.faults = False, False, 0
        self.last_fault = 0.0
        self.raising: set[int] = set()
        self.nans: set[int] = set()
        self.persistent: int | None = None
        self.poison: list[tuple[int, int]] = []
        if not self.plain:
            rng = self.world.random
            begin = rng.randrange(40 * SEQUENCES, (STEPS - 20) * SEQUENCES, SEQUENCES)
            self.poison = [(begin, begin + 3 * SEQUENCES)]
            self.nans = {rng.randrange(10, STEPS - 10)}
            self.persistent = rng.randrange(20, STEPS) if rng.random() < 0.2 else None
        self.job = Job(
            recipe=load_recipe("quickstart", RECIPE),
            layout=parse_layout(f"dp{RANKS}"),
            device="cpu",
            tokens=folder,
            folder=folder,
        )

    @property
    def process(self) -> Process:
        return self.world.current.process

    # What training asks.

    def prepare(self, job: Job, mesh: Any, bos: int, progress: Any, *_: Any) -> Training:
        tensors = {"model.w": torch.ones((), dtype=torch.int64)}
        data, search = SimpleNamespace(fingerprint="data", shards=[]), SimpleNamespace(remembered=None, group=1)
        search.compare = search.remember = lambda *_: None
        model = SimpleNamespace(parts=[tensors["model.w"]], products=None)
        of = Training(job, mesh, data, [], model, {}, None, tensors, bos, Skips.read(job.folder), search)  # type: ignore[arg-type]
        of.campaign, of.progress, of.optimizer = self, progress, Optimizer(of)  # type: ignore[attr-defined, assignment]
        self.world.sleep(self.world.random.uniform(100.0, 300.0))
        of.load()
        return of

    def before_step(self, of: Training) -> None:
        alive = {id(process.group) for start in self.starts for process in start.processes if process.alive}
        if len(alive) > 1:
            raise Violation("two trainings write at once")
        expected = trained(of.skips, of.job.recipe.batch, of.done)
        if int(of.tensors["model.w"]) != expected:
            raise Violation(f"step {of.done} begins with other weights than its samples give")
        if of.done == self.persistent or self.process.pid in self.raising:
            self.raising.discard(self.process.pid)
            raise ValueError("a broken disk")

    def is_poison(self, sample: int) -> bool:
        return any(low <= sample < high for low, high in self.poison)

    def not_finite(self, step: int) -> bool:
        return step in self.nans and self.process.rank == RANKS - 1

    def save(self, copies: dict[str, torch.Tensor], checkpoint_id: Path, process_group: int) -> None:
        """As ``dcp.save``: each rank its file, in two pieces; fails on all ranks when it does on one."""
        problem = None
        try:
            checkpoint_id.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"w": int(copies["model.w"]), "filling": "x" * 200})
            with (checkpoint_id / f"__{self.process.rank}_0.distcp").open("w") as file:
                for half in (text[:100], text[100:]):
                    self.world.sleep(self.world.random.uniform(20.0, 60.0))
                    if self.disk.checkpoints() >= self.disk.capacity:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    file.write(half)
                    file.flush()
            if self.process.rank == 0:
                (checkpoint_id / ".metadata").write_text("index")
        except OSError as error:
            problem = error
        problems = self.network.gather(problem, process_group)
        if any(problems):
            raise CheckpointException("save", {0: (next(one for one in problems if one), None)})  # type: ignore[dict-item]

    def load(self, tensors: dict[str, torch.Tensor], storage_reader: Path) -> None:
        content = json.loads((storage_reader / f"__{self.process.rank}_0.distcp").read_text())
        tensors["model.w"].fill_(content["w"])

    def digest(self, path: Path) -> str:
        self.world.sleep(2.0)
        if self.disk.unreadable and path.suffix == ".distcp" and not path.parent.name.startswith("."):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return storage.digest(path)

    def export(self, final: Path, step: int, recipe: Any, tokenizer: Any, folder: Path, progress: Any) -> None:
        content = json.loads((final / "__0_0.distcp").read_text())
        folder.mkdir(exist_ok=True)
        storage.write_json(folder / "result.json", {"w": content["w"], "step": step})

    # The command and the world around it.

    def run(self) -> None:
        with installed(self):
            self.world.at(self.world.random.expovariate(self.rate) * 3600, self.fault)
            while not self.done:
                self.command()
        self.judge()

    def command(self) -> None:
        """``altiplano train``, by an operator who mends what it says and starts it again."""
        world = self.world
        if world.now > 20 * STEPS * STEP_SECONDS:
            raise Violation("no progress in twenty times the time that the work takes")
        world.command = Process(next(world.pids))
        code: list[int] = []

        def supervised() -> None:
            with stage_run.locked(self.folder):
                code.append(supervisor.Supervisor(self.job).run())

        self.lock_files = []
        task = world.start(world.command, supervised)
        world.wait_until(lambda: task.ended or not world.command.alive, 60.0)
        if world.command.alive and not code:
            raise Violation("the command ended with a traceback")
        if not world.command.alive:  # a machine that lost power, or a killed command: its locks are free
            for file in self.lock_files:
                file.close()
            world.note("the command was killed; somebody starts it again")
            world.sleep(world.random.uniform(60.0, 1200.0))
        elif code[0] == 0:
            self.done = True
        elif code[0] in HONEST:
            self.mend(code[0])
        else:
            raise Violation(f"exit code {code[0]}")

    def mend(self, code: int) -> None:
        """The command stopped and said why: it must be true."""
        world = self.world
        world.note(f"the command stopped with {code}")
        full = self.disk.checkpoints() >= self.disk.capacity
        recent = world.now - self.last_fault < 24 * 3600
        persistent, self.persistent = self.persistent, None
        if not (full or self.disk.unreadable or persistent is not None or recent):
            raise Violation(f"stopped with {code} without a reason")
        self.disk.unreadable, self.disk.capacity = False, 1000
        for path in checkpoint.kept_aside(self.folder / "checkpoints"):
            if path.name.startswith("unreadable-") and not checkpoint.check(path).problem:
                sound = path.with_name(path.name.removeprefix("unreadable-").partition(".")[0])
                if not sound.exists():
                    path.rename(sound)
        world.sleep(600.0)

    def ranks(self, size: int, work: Callable[[], int]) -> "VirtualRanks":
        start = Start([Process(next(self.world.pids), rank) for rank in range(size)])
        self.starts.append(start)
        for process in start.processes:
            process.group = start

            def life(process: Process = process) -> None:
                process.code = work()
                process.alive = False

            self.world.start(process, life)
        return VirtualRanks(self.world, start)

    # Faults.

    KINDS = {
        "kill": 8,
        "exception": 3,
        "hang": 3,
        "power": 4,
        "command killed": 2,
        "stop a rank": 1,
        "slow": 2,
        "full": 2,
        "rot": 1,
        "clock": 2,
        "unreadable": 1,
        "second command": 1,
    }

    def fault(self) -> None:
        if self.done:
            return
        self.world.at(self.world.random.expovariate(self.rate) * 3600, self.fault)
        kinds = {"kill": 3, "exception": 1} if self.plain else self.KINDS
        kind = self.world.random.choices([*kinds], [*kinds.values()])[0]
        alive = [process for process in (self.starts[-1].processes if self.starts else []) if process.alive]
        if not alive:
            return
        self.faults += 1
        self.last_fault = self.world.now
        victim = self.world.random.choice(alive)
        self.world.note(f"{kind} (rank {victim.rank})")
        getattr(self, f"_{kind.replace(' ', '_')}")(victim)

    def _kill(self, victim: Process) -> None:
        victim.alive, victim.code = False, -9

    def _exception(self, victim: Process) -> None:
        self.raising.add(victim.pid)

    def _hang(self, victim: Process) -> None:
        self.world.events = [
            event for event in self.world.events if getattr(event[2], "process", None) is not victim
        ]
        import heapq

        heapq.heapify(self.world.events)

    def _power(self, victim: Process) -> None:
        self._command_killed(victim)
        self.disk.fail_of_power()
        self.check_newest()

    def _command_killed(self, victim: Process) -> None:
        for process in self.starts[-1].processes:  # they asked the kernel to end them with their parent
            process.alive = False
        self.world.command.alive = False

    def _stop_a_rank(self, victim: Process) -> None:
        victim.asked_to_stop = True

    def _slow(self, victim: Process) -> None:
        victim.slow = 2.5
        self.world.at(4 * 3600, lambda: setattr(victim, "slow", 1.0))

    def _full(self, victim: Process) -> None:
        """Others fill the disk for half a day: there is room for one checkpoint more, or for none."""
        self.disk.capacity = max(1, self.disk.checkpoints() + self.world.random.choice([-1, 0, 1]))
        self.world.at(12 * 3600, lambda: setattr(self.disk, "capacity", 1000))

    def _rot(self, victim: Process) -> None:
        """A bit of the newest checkpoint flips, if there is an older sound one."""
        there = [path for path in checkpoint.saved(self.folder / "checkpoints") if not real_check(path)]
        if len(there) > 1:
            file = there[0] / "__0_0.distcp"
            raw = bytearray(file.read_bytes())
            raw[6] ^= 1
            file.write_bytes(raw)
            state = file.stat()
            self.disk.rotten.add(state.st_ino)
            self.disk.synced[state.st_ino] = (state.st_size, state.st_mtime_ns)

    def _clock(self, victim: Process) -> None:
        self.jumped = True
        self.world.wall += self.world.random.choice([-86400.0, -3600.0, 3600.0, 86400.0])

    def _unreadable(self, victim: Process) -> None:
        self.disk.unreadable = True
        self.world.at(2 * 3600, lambda: setattr(self.disk, "unreadable", False))
        self._kill(victim)

    def _second_command(self, victim: Process) -> None:
        try:
            with stage_run.locked(self.folder):
                raise Violation("a second command gets the workspace")
        except InputError:
            pass

    # What must hold.

    def check_newest(self) -> None:
        """The newest published checkpoint is sound, unless its bits were flipped."""
        for path in checkpoint.saved(self.folder / "checkpoints")[:1]:
            rotten = any(file.stat().st_ino in self.disk.rotten for file in path.iterdir())
            if (problem := real_check(path)) and not rotten:
                raise Violation(f"the newest checkpoint is not sound: {path.name}: {problem}")

    def judge(self) -> None:
        folder = self.folder
        skips = Skips.read(folder)
        result = json.loads((folder / "weights" / "result.json").read_text())
        if result != {"w": trained(skips, self.job.recipe.batch, STEPS), "step": STEPS}:
            raise Violation("the final weights are not those that the samples give")
        steps = [one.step for one in StepMetrics.read_lines(folder / "metrics.jsonl")]
        if not set(steps) <= set(range(1, STEPS + 1)) or len(steps) != len(set(steps)):
            raise Violation("a step is recorded twice")
        if any(not any(low <= first and last <= high for low, high in skips.samples) for first, last in self.poison):
            raise Violation("samples that made the loss spike were trained on")
        if self.nans - skips.updates:
            raise Violation("an update without a finite gradient was applied")
        events = ledger.read(folder / "ledger.jsonl")
        booked = goodput.goodput(events)
        if not self.jumped and abs(booked.booked - booked.wall) > 0.01 * booked.wall + 60:
            raise Violation(f"the ledger books {booked.booked:.0f} of {booked.wall:.0f} s")
        self.formula = goodput.against_formula(events) if self.plain else None
        self.check_newest()


def real_check(path: Path) -> str:
    """What is wrong with a checkpoint, by its manifest and nothing of the code that is tested; empty: nothing."""
    try:
        files = json.loads((path / "manifest.json").read_text())["files"]
        bad = [name for name, written in files.items() if storage.digest(path / name) != written]
    except (OSError, ValueError, KeyError) as error:
        return str(error) or type(error).__name__
    return f"{bad[0]} has changed" if bad else "" if len(files) == RANKS + 1 else "files are missing"


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
def installed(campaign: Campaign) -> Iterator[None]:
    """The virtual world in the place of the real one; for good, as a campaign has a process of its own."""
    world, disk, network, clock = campaign.world, campaign.disk, campaign.network, Clock(campaign.world)
    for module in (supervisor, ledger, heartbeat, incidents, saving, loop, metrics, stage_run):
        module.time = clock  # type: ignore[attr-defined]
    for module in (saving, checkpoint, trainer, callbacks, metrics, rollback, worker):
        module.dist = network  # type: ignore[attr-defined]
    saving.threading = Threads(world)  # type: ignore[assignment]
    saving.LOOK_SECONDS = 30.0
    saving.dcp = SimpleNamespace(save=campaign.save)  # type: ignore[assignment]
    usage = lambda folder: SimpleNamespace(free=100 if disk.checkpoints() < disk.capacity else 0)  # noqa: E731
    saving.shutil = SimpleNamespace(disk_usage=usage)  # type: ignore[assignment]
    checkpoint.dcp = SimpleNamespace(load=campaign.load)  # type: ignore[assignment]
    checkpoint.CheckpointReader = lambda path: path  # type: ignore[assignment, misc]
    checkpoint.check_shapes = lambda *_: None
    trainer.set_initial_weights = lambda part, recipe: part.fill_(1)  # type: ignore[assignment]
    for module in (saving, checkpoint):
        module.digest = campaign.digest  # type: ignore[attr-defined]
        module.sync = disk.sync  # type: ignore[attr-defined]
    storage.sync = disk.sync
    rename = Path.rename
    Path.rename = lambda self, target: disk.rename(rename, self, Path(target))  # type: ignore[method-assign]
    heartbeat.os = SimpleNamespace(**{**vars(os), "getpid": lambda: world.current.process.pid})  # type: ignore[assignment]
    supervisor.Ranks = campaign.ranks  # type: ignore[assignment, misc]
    supervisor.POLL_SECONDS, supervisor.LOOK_SECONDS, supervisor.GRACE_SECONDS = 20.0, 120.0, 60.0
    supervisor.signal = SimpleNamespace(**{**vars(supervisor.signal), "signal": lambda *_: None, "pthread_sigmask": lambda *_: None})  # type: ignore[assignment]
    loop.prepare, loop.Interruption = campaign.prepare, lambda: Stop(campaign)  # type: ignore[assignment, misc]
    loop.MeasureThroughput = lambda *_: Throughput()  # type: ignore[assignment, misc]
    loop.ReportSlowRanks = Callback  # type: ignore[misc, assignment]
    loop.memory_by_pipeline_rank = lambda mesh: [1]
    worker.Tokenizer = SimpleNamespace(load=lambda folder: SimpleNamespace(bos=0))  # type: ignore[assignment, misc]
    mesh = SimpleNamespace(device=torch.device("cpu"), rank=lambda name: 0, size=lambda name: 1)
    worker.start_mesh = lambda *_: mesh  # type: ignore[assignment, return-value]
    worker.keep_freed_memory = lambda: None
    worker.device_name = lambda device: "virtual"
    worker.export_weights = campaign.export
    opened = Path.open

    def watched_open(self: Path, *arguments: Any, **named: Any) -> Any:
        file = opened(self, *arguments, **named)
        if self.name == ".lock" and world.current.process is world.command:
            campaign.lock_files.append(file)
        return file

    Path.open = watched_open  # type: ignore[method-assign, assignment]
    yield


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="campaign-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


assert np  # samples are arrays of it
