"""One training run in a virtual world under faults that follow from a seed, and what must hold whatever happens."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as real_dist

from altiplano import storage
from altiplano.errors import InputError
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.records import HeldoutScores, StepMetrics
from altiplano.stages import run as stage_run
from altiplano.training import supervisor
from altiplano.training.accounting import goodput, ledger
from altiplano.training.checkpoints import checkpoint
from altiplano.training.job import Job
from altiplano.training.skips import Skips
from faults.simulation.virtual_training import (
    RANKS,
    RECIPE,
    SEQUENCES,
    STEP_SECONDS,
    STEPS,
    Optimizer,
    Start,
    Training,
    VirtualRanks,
    installed,
    trained,
)
from faults.simulation.world import Disk, Network, Process, Violation, World

FAULTS_PER_HOUR = 1 / 3
MOST_TIMES, STUCK_HOURS = 6, 8
KINDS = {
    "kill": 8,
    "exception": 3,
    "hang": 3,
    "power": 4,
    "command killed": 2,
    "stop a rank": 1,
    "slow": 2,
    "full": 2,
    "write errors": 1,
    "rot": 1,
    "clock": 2,
    "unreadable": 1,
    "second command": 1,
}
"""Faults and how often they are drawn."""
PLAIN = {"kill": 3, "exception": 1}
"""Those of the planner's formula: they come at a constant rate and cost what a restart costs."""
HONEST = (1, 2, 130)
"""Exit codes of a command that says why it stops."""


class Campaign:
    """Runs until training is done; raises Violation when anything happens that never may."""

    def __init__(self, seed: int, folder: Path, plain: bool | None = None, kinds: dict[str, int] | None = None):
        self.seed, self.folder = seed, folder
        self.world = World(seed)
        self.plain = seed % 3 == 0 if plain is None else plain
        self.disk = Disk(self.world, folder)
        self.network = Network(self.world, real_dist, RANKS)
        self.kinds = kinds or (PLAIN if self.plain else KINDS)
        self.rate = FAULTS_PER_HOUR
        self.starts: list[Start] = []
        self.stepped = 0.0
        self.done, self.jumped, self.faults = False, False, 0
        self.faults_at: list[float] = []
        self.disk_trouble = -1e9
        self.raising: set[int] = set()
        self.nans: set[int] = set()
        self.persistent: int | None = None
        self.given_back: set[tuple[str, int]] = set()
        """Records that were dropped when training went on from before a checkpoint that came back."""
        self.poison: list[tuple[int, int]] = []
        if not self.plain:
            rng = self.world.random
            begin = rng.randrange(40 * SEQUENCES, (STEPS - 20) * SEQUENCES, SEQUENCES)
            self.poison = [(begin, begin + 3 * SEQUENCES)]
            self.nans = {rng.randrange(10, 38)}
            self.persistent = rng.randrange(20, STEPS) if rng.random() < 0.3 else None
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
        newest = next((checkpoint.step_of(path) for path in checkpoint.saved(self.folder / "checkpoints")), 0)
        self.stepped = self.world.now
        if of.done <= self.process.group.reached:  # after a rollback
            self.process.group.newest = 0
        self.process.group.reached = of.done
        self.check_none_is_gone()
        settings = of.job.recipe.checkpoint
        if of.done - newest > (settings.max_failed_saves + 2) * settings.rolling_steps:
            raise Violation(f"training goes on at step {of.done}, unprotected since step {newest}")
        expected = trained(of.skips, of.job.recipe.batch, of.done)
        if int(of.tensors["model.w"]) != expected:
            raise Violation(f"step {of.done} begins with other weights than its samples give")
        if of.done == self.persistent:
            raise ValueError("a broken disk")
        self.raise_if_due()

    def raise_if_due(self) -> None:
        if self.process.pid in self.raising:
            self.raising.discard(self.process.pid)
            raise ValueError("a broken disk")

    def is_poison(self, sample: int) -> bool:
        return any(low <= sample < high for low, high in self.poison)

    def not_finite(self, step: int) -> bool:
        return step in self.nans and self.process.rank == RANKS - 1

    def write_tensors(self, tensors: dict[str, torch.Tensor], folder: Path, rank: int) -> list[Any]:
        """Each rank its file, in two pieces."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"w": int(tensors["model.w"]), "filling": "x" * 200})
        with (folder / f"__{rank}_0.distcp").open("w") as file:
            for half in (text[:100], text[100:]):
                self.world.sleep(self.world.random.uniform(20.0, 60.0))
                self.check_none_is_gone()
                if self.disk.failing:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                if self.disk.checkpoints() >= self.disk.capacity:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                file.write(half)
                file.flush()
        return []

    def load(self, tensors: dict[str, torch.Tensor], storage_reader: Any, no_dist: bool) -> None:
        content = json.loads((storage_reader.path / f"__{self.process.rank}_0.distcp").read_text())
        tensors["model.w"].fill_(content["w"])

    def digest(self, path: Path) -> str:
        self.world.sleep(2.0)
        if path.parent.name in self.disk.unreadable and path.suffix == ".distcp":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return storage.digest(path)

    def export(self, job: Job, verify: bool) -> int:
        steps = job.recipe.batch.steps
        content = json.loads((checkpoint.of_step(job.folder / "checkpoints", steps) / "__0_0.distcp").read_text())
        (job.folder / "weights").mkdir(exist_ok=True)
        storage.write_json(job.folder / "weights" / "result.json", {"w": content["w"], "step": steps})
        return 0

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
        world.command = Process(next(world.pids))
        code: list[int] = []

        def supervised() -> None:
            with stage_run.locked(self.folder):
                code.append(supervisor.Supervisor(self.job).run())

        self.lock_files = []
        self.in_vain, self.newest_before = 0, -1
        task = world.start(world.command, supervised)
        self.stepped = world.now
        while world.command.alive and not task.ended:
            world.sleep(60.0)
            if Violation.raised:
                raise Violation(Violation.raised[0])
            if world.now > MOST_TIMES * STEPS * STEP_SECONDS:
                raise Violation(f"no end in {MOST_TIMES} times the time that the work takes")
            if world.now - self.stepped > STUCK_HOURS * 3600:
                raise Violation(f"no step in {STUCK_HOURS} hours, and no stop")
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
        self.check_recorded()
        world.note(f"the command stopped with {code}")
        there = checkpoint.saved(self.folder / "checkpoints")
        all_bad = bool(there) and all(real_check(path) for path in there)
        lately = [at for at in self.faults_at if world.now - at < 8 * 3600]
        reasons = {
            1: self.persistent is not None
            or world.now - self.disk_trouble < 12 * 3600
            or len(lately) >= self.job.recipe.recovery.max_restarts,
            2: world.now - self.disk_trouble < 12 * 3600 or all_bad,
        }
        if not reasons.get(code):
            raise Violation(f"stopped with {code} without a reason")
        if all_bad:
            self.job = self.job.model_copy(update={"from_step_0": True})
        self.persistent = None
        self.disk.unreadable.clear()
        self.disk.capacity, self.disk.failing = 1000, False
        for path in checkpoint.kept_aside(self.folder / "checkpoints"):
            if path.name.startswith("unreadable-") and not checkpoint.check(path).problem:
                sound = path.with_name(path.name.removeprefix("unreadable-").partition(".")[0])
                if not sound.exists():
                    path.rename(sound)
        self.given_back |= self.unrecorded()
        world.sleep(600.0)

    def ranks(self, size: int, work: Callable[[], int]) -> "VirtualRanks":
        self.check_restarts()
        self.check_recorded()
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

    def fault(self) -> None:
        if self.done:
            return
        self.world.at(self.world.random.expovariate(self.rate) * 3600, self.fault)
        kind = self.world.random.choices([*self.kinds], [*self.kinds.values()])[0]
        alive = [process for process in (self.starts[-1].processes if self.starts else []) if process.alive]
        if not alive:
            return
        self.faults += 1
        self.faults_at.append(self.world.now)
        victim = self.world.random.choice(alive)
        self.world.note(f"{kind} (rank {victim.rank})")
        getattr(self, f"_{kind.replace(' ', '_')}")(victim)

    def _kill(self, victim: Process) -> None:
        victim.alive, victim.code = False, -9

    def _exception(self, victim: Process) -> None:
        """In the middle of a step, as any fault; in one that starts or waits for others, when it has done so."""
        self.raising.add(victim.pid)
        if victim.stepping:
            self.world.interrupt(victim)

    def _hang(self, victim: Process) -> None:
        victim.hung = True

    def _power(self, victim: Process) -> None:
        self._command_killed(victim)
        self.disk.fail_of_power()
        self.check_newest()
        self.check_recorded()

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
        self.disk_trouble = self.world.now + 12 * 3600
        self.disk.capacity = max(1, self.disk.checkpoints() + self.world.random.choice([-1, 0, 1]))
        self.world.at(12 * 3600, lambda: setattr(self.disk, "capacity", 1000))

    def _write_errors(self, victim: Process) -> None:
        """For ten hours nothing can be saved."""
        self.disk.failing, self.disk_trouble = True, self.world.now + 10 * 3600
        self.world.at(10 * 3600, lambda: setattr(self.disk, "failing", False))

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
        """The newest checkpoint, or all, cannot be read for two hours: they may be sound and must stay."""
        there = checkpoint.saved(self.folder / "checkpoints")
        of = {path.name for path in (there if self.world.random.random() < 0.5 else there[:1])}
        self.disk.unreadable, self.disk_trouble = of, self.world.now
        self.world.at(2 * 3600, self.disk.unreadable.clear)

        def still_there() -> None:
            names = [path.name for path in (self.folder / "checkpoints").iterdir()]
            newer = checkpoint.saved(self.folder / "checkpoints")[:1]
            replaced = bool(newer and there) and checkpoint.step_of(newer[0]) > checkpoint.step_of(there[0])
            if there and not replaced and not any(name.endswith(there[0].name) for name in names):
                raise Violation(f"{there[0].name} could not be read for a while and is gone")

        self.world.at(1500, still_there)
        self._kill(victim)

    def _second_command(self, victim: Process) -> None:
        os.environ["RANK"] = "0"  # whose task happens to run is no matter of a command's
        try:
            with stage_run.locked(self.folder):
                raise Violation("a second command gets the workspace")
        except InputError:
            os.environ["RANK"] = str(self.process.rank)

    # What must hold.

    def check_restarts(self) -> None:
        """What always fails is not tried for ever: one command starts ranks so often without a newer checkpoint."""
        newest = max((int(path.name[5:]) for path in (self.folder / "checkpoints").glob("step-*")), default=0)
        self.in_vain = 1 if newest > self.newest_before else self.in_vain + 1
        self.newest_before = newest
        if self.in_vain > self.job.recipe.recovery.max_restarts + 1:
            raise Violation(f"started {self.in_vain} times without a newer checkpoint than that of step {newest}")

    def check_none_is_gone(self) -> None:
        """The newest checkpoint is only ever replaced by a newer one."""
        start, there = self.process.group, checkpoint.saved(self.folder / "checkpoints")
        newest = checkpoint.step_of(there[0]) if there else 0
        if newest < start.newest:
            raise Violation(f"the checkpoint of step {start.newest} is gone, and that of step {newest} is the newest")
        start.newest = newest

    def unrecorded(self) -> set[tuple[str, int]]:
        """Files of records and the steps up to the newest checkpoint that they do not have."""
        newest = next((checkpoint.step_of(path) for path in checkpoint.saved(self.folder / "checkpoints")), 0)
        every = self.job.recipe.evaluation.interval_steps
        metrics = {one.step for one in StepMetrics.read_lines(self.folder / "metrics.jsonl")}
        scores = {one.step for one in HeldoutScores.read_lines(self.folder / "heldout.jsonl")}
        return {("metrics.jsonl", step) for step in set(range(1, newest + 1)) - metrics} | {
            ("heldout.jsonl", step) for step in set(range(every, newest + 1, every)) - scores
        }

    def check_recorded(self) -> None:
        """No step before the newest checkpoint is missing in what was measured, nor a score of held-out text: nobody
        will measure them again. But for those of a checkpoint that went back before and was given its name again."""
        if missing := sorted(self.unrecorded() - self.given_back):
            name, step = missing[0]
            raise Violation(f"{name} has no step {step}, and there is a later checkpoint")

    def check_newest(self) -> None:
        """The newest published checkpoint is sound, unless its bits were flipped."""
        for path in checkpoint.saved(self.folder / "checkpoints")[:1]:
            rotten = any(file.stat().st_ino in self.disk.rotten for file in path.iterdir())
            if (problem := real_check(path)) and not rotten:
                raise Violation(f"the newest checkpoint is not sound: {path.name}: {problem}")

    def judge(self) -> None:
        folder = self.folder
        if Violation.raised:
            raise Violation(Violation.raised[0])
        skips = Skips.read(folder)
        result = json.loads((folder / "weights" / "result.json").read_text())
        if result != {"w": trained(skips, self.job.recipe.batch, STEPS), "step": STEPS}:
            raise Violation("the final weights are not those that the samples give")
        steps = [one.step for one in StepMetrics.read_lines(folder / "metrics.jsonl")]
        if not set(steps) <= set(range(1, STEPS + 1)) or len(steps) != len(set(steps)):
            raise Violation("a step is recorded twice")
        self.check_recorded()
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


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="campaign-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
