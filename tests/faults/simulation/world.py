"""Virtual time, processes, network and disk, for real code: one thread runs at a time, and time passes when it waits.

A task is a thread that holds the baton. ``sleep`` puts it into the queue of events and hands the baton to whoever is
next; time jumps there. A task that is killed is never handed the baton again: no handler and no ``finally`` of it runs,
as with SIGKILL. What happens depends on the seed alone.
"""

import heapq
import itertools
import os
import random
import threading
import time as real_time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar


class Violation(AssertionError):
    """Something happened that never may. Kept, as the code in which it is raised may take it for one more fault."""

    raised: ClassVar[list[str]] = []

    def __init__(self, what: str):
        super().__init__(what)
        self.raised.append(what)


@dataclass(eq=False)
class Process:
    """Tasks that die together: a rank with its threads."""

    pid: int
    rank: int = 0
    group: Any = None
    alive: bool = True
    hung: bool = False
    asked_to_stop: bool = False
    code: int | None = None
    collectives: dict[int, int] = field(default_factory=dict)
    groups: int = 0
    slow: float = 1.0
    main: "Task | None" = None
    stepping: bool = False


def _taken() -> Any:
    """A lock that is held: whoever takes it again waits until it is released."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False)
class Task:
    process: Process
    baton: Any = field(default_factory=_taken)
    ended: bool = False
    due: int = 0
    """Which event wakes it; one before that came too late."""


class World:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.now, self.wall = 1000.0, 1.7e9
        self.events: list[tuple[float, int, Task | Callable[[], None]]] = []
        self.order, self.pids = itertools.count(), itertools.count(5_000_000)
        self.command = Process(next(self.pids))
        self.current = Task(self.command)
        self.log: list[str] = []

    def note(self, what: str) -> None:
        self.log.append(f"{self.now / 3600:9.3f} h  {what}")

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """``action`` so many seconds from now."""
        heapq.heappush(self.events, (self.now + seconds, next(self.order), action))

    def sleep(self, seconds: float) -> None:
        """The current task waits; whatever happens meanwhile happens."""
        if not self.current.process.hung:
            self._wake(self.current, seconds)
        self._hand_on(self.current)

    def interrupt(self, process: Process) -> None:
        """Its main thread wakes now, whatever it waits for."""
        if process.main is not None and not process.hung:
            self._wake(process.main, 0.0)

    def _wake(self, task: "Task", seconds: float) -> None:
        task.due = next(self.order)
        heapq.heappush(self.events, (self.now + max(0.0, seconds), task.due, task))

    def wait_until(self, ready: Callable[[], bool], every: float) -> None:
        while not ready():
            self.sleep(every)

    def _hand_on(self, mine: Task) -> None:
        while True:
            if not self.events:
                raise Violation("nothing will ever happen again")
            at, order, what = heapq.heappop(self.events)
            if isinstance(what, Task) and what.due != order:
                continue
            self.now = max(self.now, at)
            if not isinstance(what, Task):
                what()
                continue
            if what.process.alive and not what.ended and not what.process.hung:
                break
        if what is mine:
            return
        self.current = what
        os.environ["RANK"] = str(what.process.rank)
        what.baton.release()
        if not mine.ended:
            mine.baton.acquire()

    def start(self, process: Process, work: Callable[[], Any]) -> Task:
        task = Task(process)

        def run() -> None:
            task.baton.acquire()
            try:
                work()
            finally:
                task.ended = True
                self._hand_on(task)

        threading.Thread(target=run, daemon=True).start()
        process.main = process.main or task
        self._wake(task, 0.0)
        return task


class Clock:
    """In the place of the module ``time``."""

    strftime, localtime = staticmethod(real_time.strftime), staticmethod(real_time.localtime)

    def __init__(self, world: World):
        self.world = world

    def monotonic(self) -> float:
        return self.world.now

    perf_counter = monotonic

    def time(self) -> float:
        return self.world.wall + self.world.now

    def sleep(self, seconds: float) -> None:
        self.world.sleep(seconds)


class Threads:
    """In the place of the module ``threading``: threads of the current process."""

    def __init__(self, world: World):
        class Thread:
            def __init__(self, target: Callable[..., None], args: tuple[Any, ...] = (), name: str = ""):
                self.target, self.args = target, args

            def start(self) -> None:
                self.task = world.start(world.current.process, lambda: self.target(*self.args))

            def is_alive(self) -> bool:
                return not self.task.ended

            def join(self, timeout: float = 1.0) -> None:
                end = world.now + timeout
                while self.is_alive() and world.now < end:
                    world.sleep(min(5.0, timeout))

        self.Thread = Thread


class Network:
    """In the place of ``torch.distributed``: what ranks of one start say to one another."""

    def __init__(self, world: World, real: Any, size: int):
        self.world, self.size = world, size
        self.ReduceOp, self.ProcessGroup = real.ReduceOp, real.ProcessGroup

    def get_rank(self) -> int:
        return self.world.current.process.rank

    def get_world_size(self) -> int:
        return self.size

    def is_initialized(self) -> bool:
        return True

    def new_group(self, *_: Any, **__: Any) -> int:
        self.world.current.process.groups += 1
        return self.world.current.process.groups

    def gather(self, value: Any, group: int | None = None) -> list[Any]:
        """What all ranks give, on all of them. Raises RuntimeError when one of them is gone."""
        me = self.world.current.process
        place = me.collectives[group or 0] = me.collectives.get(group or 0, 0) + 1
        given: dict[int, Any] = me.group.messages.setdefault((group or 0, place), {})
        given[me.rank] = value
        while len(given) < self.size:
            if any(not peer.alive and peer.rank not in given for peer in me.group.processes):
                self.world.sleep(self.world.random.uniform(0.1, 5.0))
                raise RuntimeError("Connection closed by peer [10.0.0.7]:4711")
            self.world.sleep(2.0)
        return [given[rank] for rank in range(self.size)]

    def all_gather_object(self, found: list[Any], value: Any, group: int | None = None) -> None:
        found[:] = self.gather(value, group)

    def broadcast_object_list(self, values: list[Any], src: int = 0, group: int | None = None) -> None:
        values[:] = self.gather(list(values), group)[src]

    def barrier(self, group: int | None = None) -> None:
        self.gather(None, group)

    def all_reduce(self, tensor: Any, op: Any = None, group: int | None = None) -> None:
        rows = self.gather(tensor.clone(), group)
        result = rows[0]
        for row in rows[1:]:
            result = result.maximum(row) if op == self.ReduceOp.MAX else result.minimum(row)
        tensor.copy_(result)


class Meeting:
    """In the place of ``altiplano.parallel.meeting``'s."""

    def __init__(self, network: Network):
        self.network, self.group = network, network.new_group()

    def gather(self, value: Any) -> list[Any]:
        said = self.network.gather(value, self.group)
        return said if self.network.get_rank() == 0 else []

    def tell(self, value: Any = None) -> Any:
        return self.network.gather(value, self.group)[0]


class Disk:
    """Real files in ``folder``, of which the power may take what was not synced; that may be full or not readable."""

    def __init__(self, world: World, folder: Path):
        self.world, self.folder = world, folder
        self.synced: dict[int, tuple[int, int]] = {}
        self.renamed: list[tuple[Path, Path]] = []
        """Since their folder was synced."""
        self.capacity = 1000
        self.failing = False
        self.unreadable: set[str] = set()
        """Names of checkpoints that cannot be read for now."""
        self.rotten: set[int] = set()
        """Inodes of files whose bits were flipped: nobody is to blame for them."""

    def sync(self, path: Path) -> None:
        self.world.sleep(self.world.random.uniform(0.1, 1.0))
        if path.is_dir():
            self.renamed = [pair for pair in self.renamed if pair[1].parent != path]
        else:
            state = path.stat()
            self.synced[state.st_ino] = (state.st_size, state.st_mtime_ns)

    def rename(self, real: Callable[[Path, Path], Path], source: Path, target: Path) -> Path:
        self.world.sleep(0.05)
        result = real(source, target)
        if "checkpoints" in target.parts:
            self.renamed.append((source, target))
        self.world.sleep(0.05)
        return result

    def fail_of_power(self) -> None:
        """Files that were not synced are cut, renames whose folder was not synced did not happen."""
        for source, target in reversed(self.renamed):
            if target.exists() and not source.exists():
                os.rename(target, source)  # noqa: PTH104
        self.renamed = []
        for file in sorted(self.folder.rglob("*")):
            state = file.stat()
            if not file.is_file() or file.name in (".lock", "job.json"):
                continue
            if file.suffix == ".jsonl":  # only ever appended to: what was synced stays
                safe = min(self.synced.get(state.st_ino, (0, 0))[0], state.st_size)
                with file.open("rb+") as lines:
                    lines.truncate(
                        self.world.random.choice([state.st_size, safe, self.world.random.randint(safe, state.st_size)])
                    )
            elif self.synced.get(state.st_ino) != (state.st_size, state.st_mtime_ns):
                with file.open("rb+") as torn:
                    torn.truncate(self.world.random.randrange(state.st_size + 1))

    def checkpoints(self) -> int:
        return len([path for path in (self.folder / "checkpoints").glob("*step-*") if path.is_dir()])
