"""Signs of life: every rank notes what it does and since when; whoever watches can tell who stopped.

One small file a rank, in a folder that all ranks of a machine see. A hang shows as a note that grows old. A note says
itself how old it may become: a rank knows how long it took from one sign to the next until now, its watcher does not.

Under torchrun nobody but the ranks themselves can see that one hangs: each watches those of its machine.

torchrun's agent starts all ranks again when one dies, but waits for ever for one that neither works nor dies. The
first rank of a machine to find another without a sign of life ends it, and the agent does the rest.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from altiplano.training.resilience import flight_recorder, incidents

PHASES = ("init", "data", "compute", "validation", "save")
"""What a rank does within a step, in order."""
PATIENCE = 5.0
"""A rank hangs when it shows no sign of life for so many times the longest that it lately took from one to the next."""
REMEMBERED = 200
"""Signs of life of each phase that are looked at for that."""
LENGTH = 120


class Heartbeat:
    """This rank's note."""

    def __init__(self, folder: Path, rank: int, hang_seconds: float, init_seconds: float):
        """``hang_seconds`` without a sign of life are allowed at least; ``init_seconds`` while it starts."""
        folder.mkdir(parents=True, exist_ok=True)
        self.file = os.open(folder / f"rank-{rank:05d}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self.hang_seconds, self.init_seconds = hang_seconds, init_seconds
        self.step = 0
        self.last = ("", 0.0)
        self.taken: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def beat(self, doing: str) -> None:
        """Say that this rank now begins ``doing``, or gets on with it."""
        now = time.monotonic()
        before, at = self.last
        if before:
            self.taken[before].append(now - at)
        self.last = (doing, now)
        note = f"{now:.3f} {os.getpid()} {self.step} {doing} {self.limit(doing):.3f} {attempt()}"
        os.pwrite(self.file, note.ljust(LENGTH).encode(), 0)

    def limit(self, doing: str) -> float:
        """Seconds without a sign of life that ``doing`` may take."""
        if doing == PHASES[0]:
            return self.init_seconds
        return max(self.hang_seconds, PATIENCE * max(self.taken[doing], default=0.0))


def attempt() -> str:
    """Which start of the ranks of this machine a note belongs to: files of an earlier one may still lie there. When
    nodes come or go torchrun starts all again, perhaps with other ranks, without counting it; the port is another."""
    names = ("TORCHELASTIC_RESTART_COUNT", "MASTER_PORT")
    return ".".join([str(os.getppid()), *(os.environ.get(name, "0") for name in names)])


@dataclass(frozen=True)
class Stalled:
    rank: int
    pid: int
    seconds: float
    step: int
    doing: str
    stopped: bool
    """By a signal, as Linux tells of a process of this machine."""

    def __str__(self) -> str:
        how = "was stopped" if self.stopped else "shows no progress"
        return f"rank {self.rank} {how} (in {self.doing} after step {self.step}, {self.seconds:.0f} s ago)"


def stalled(folder: Path, now: float, of: str = "", pids: Container[int] | None = None) -> list[Stalled]:
    """When a rank's last sign of life is older than it may be: it, and others that are silent for about as long, the
    likeliest cause first; ``of`` one attempt, and ``pids`` of those processes alone, if given. ``now`` is
    time.monotonic(), which all processes of a machine share and nobody sets.

    When one rank hangs all others soon wait for it, and whose limit is over first is chance: one that a signal stopped
    comes first, then who got least far.
    """
    notes = [(rank, limit) for rank, limit in _notes(folder, now, of) if pids is None or rank.pid in pids]
    longest = max((rank.seconds for rank, limit in notes if rank.seconds > limit), default=None)
    if longest is None:
        return []
    found = [rank for rank, limit in notes if rank.seconds > min(limit, longest) / 2]
    return sorted(found, key=lambda rank: (not rank.stopped, rank.step, PHASES.index(rank.doing), -rank.seconds))


def _notes(folder: Path, now: float, of: str) -> Iterator[tuple[Stalled, float]]:
    """What every rank of this machine that has not ended said last, and seconds that it may be silent."""
    for file in folder.glob("rank-*"):
        try:
            at, pid, step, doing, limit, whose = file.read_text().split()
        except (ValueError, OSError):  # not yet written
            continue
        state = _state(int(pid))
        if of in ("", whose) and state != "Z":
            rank = int(file.name.removeprefix("rank-"))
            yield Stalled(rank, int(pid), now - float(at), int(step), doing, state in ("T", "t")), float(limit)


def _state(pid: int) -> str:
    """Of a process of this machine, in the letters of Linux (proc(5)); Z, too, when it is gone. Empty: not known, as
    without /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        with contextlib.suppress(PermissionError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return "Z"
        return ""


STACK_SECONDS, STACK_LENGTH = 2.0, 2000


@contextlib.contextmanager
def stack_shown_when_asked(folder: Path, rank: int, and_then: Callable[[], None] | None = None) -> Iterator[None]:
    """Meanwhile this process writes its Python stack when it gets SIGUSR1, wherever it hangs: the signal is handled in
    C. Then a thread calls ``and_then``, which may take long. For ``stack_of``."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as ends:
        file = ends.enter_context((folder / f"stack-{rank:05d}").open("w"))
        if and_then is not None:
            ends.enter_context(_calling_after_signal(and_then))
        faulthandler.register(signal.SIGUSR1, file, all_threads=False, chain=and_then is not None)
        ends.callback(faulthandler.unregister, signal.SIGUSR1)
        yield


@contextlib.contextmanager
def _calling_after_signal(call: Callable[[], None]) -> Iterator[None]:
    """Let a thread ``call`` after SIGUSR1. A main thread that hangs runs no handler of Python's, but the handler's part
    in C writes to a descriptor at once."""
    asked, told = os.pipe()
    os.set_blocking(told, False)
    handler = signal.signal(signal.SIGUSR1, lambda *_: None)
    descriptor = signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def answer() -> None:
        while numbers := os.read(asked, 512):
            if signal.SIGUSR1 in numbers:
                call()
        os.close(asked)

    threading.Thread(target=answer, name="answer", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        signal.signal(signal.SIGUSR1, handler)
        os.close(told)


def stack_of(folder: Path, rank: Stalled) -> str:
    """Where a rank of this machine hangs, before it is ended; empty where it does not say so in time."""
    file, end = folder / f"stack-{rank.rank:05d}", time.monotonic() + STACK_SECONDS
    with contextlib.suppress(OSError):
        if not _ask(folder, rank):
            return ""
        if rank.pid == os.getpid():  # under faulthandler's timer Python writes no stack of its own process
            frames = sys._current_frames()[threading.main_thread().ident or 0]
            return "".join(traceback.format_stack(frames))[-STACK_LENGTH:]
        while time.monotonic() < end and not file.stat().st_size:
            time.sleep(0.05)
        return file.read_text(errors="replace")[:STACK_LENGTH]
    return ""


def _ask(folder: Path, rank: Stalled) -> bool:
    """Send SIGUSR1, unless it could not answer: without its handler the signal would end it."""
    if rank.stopped or not (folder / f"stack-{rank.rank:05d}").exists():
        return False
    os.kill(rank.pid, signal.SIGUSR1)
    return True


def collectives_of(folder: Path, hung: Stalled, training: Path, of: str = "") -> str:
    """Let all ranks of this machine, of attempt ``of``, write their last collectives into the folder ``training``;
    ``hung`` was asked for its stack. Says how many did in time. Of a hang the others know which collective they wait
    in, and for whom."""
    asked = [] if hung.stopped else [hung.rank]
    for rank, _ in _notes(folder, time.monotonic(), of):
        with contextlib.suppress(OSError):
            if rank.pid != hung.pid and _ask(folder, rank):
                asked.append(rank.rank)
    return flight_recorder.wait_for_files(training, asked)


LOOK_SECONDS = 5.0
LONGEST_EVIDENCE = 60.0
"""Stacks and collectives of a rank that hangs are waited for no longer."""


class Watchdog(threading.Thread):
    """Looks at the heartbeats in ``heartbeats`` until ``stop``; records what it finds in ``folder``."""

    def __init__(self, heartbeats: Path, folder: Path, limit: float, records_collectives: bool = False):
        """``limit`` is the shortest time without a sign of life that is a hang; ``records_collectives``: ranks have a
        flight recorder, and ``folder`` is the training's."""
        super().__init__(name="watchdog", daemon=True)
        self.heartbeats, self.folder, self.limit = heartbeats, folder, limit
        self.records_collectives = records_collectives
        self.attempt = attempt()
        self.begun, self.found_at = time.time(), 0.0
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(min(LOOK_SECONDS, self.limit / 2)):
            found = stalled(self.heartbeats, time.monotonic(), self.attempt)
            if found and self._is_first_to_find():
                self._end(found[0])
                return

    def _is_first_to_find(self) -> bool:
        """On this machine, in this attempt; or the first one did not end any."""
        self.found_at = self.found_at or time.monotonic()
        file = self.heartbeats / f"ending-{self.attempt}"
        with contextlib.suppress(OSError):
            if file.stat().st_mtime < self.begun:  # of another run that was called the same
                file.unlink()
        try:
            file.open("x").close()
        except FileExistsError:
            return time.monotonic() - self.found_at > LONGEST_EVIDENCE
        except OSError:  # a full disk must not keep it alive
            return True
        return True

    def _end(self, rank: Stalled) -> None:
        what = f"{rank}"
        print(f"altiplano: {what}; ending it, so that torchrun starts all again", file=sys.stderr, flush=True)
        if self.records_collectives:
            # The recorder asks the device, which may never answer, and holds Python's lock meanwhile: then this
            # process, which hangs like the others, is ended from C.
            faulthandler.dump_traceback_later(LONGEST_EVIDENCE, exit=True)
        with contextlib.suppress(OSError):  # a full disk must not keep it alive
            facts: dict[str, Any] = {"rank": rank.rank, "step": rank.step}
            if stack := stack_of(self.heartbeats, rank):
                facts["traceback"] = stack
            if self.records_collectives:
                what += f"; {collectives_of(self.heartbeats, rank, self.folder, self.attempt)}"
            incidents.record(self.folder, "hang", what, "ended it", **facts)
        faulthandler.cancel_dump_traceback_later()
        os.kill(rank.pid, signal.SIGKILL)

    def stop(self) -> None:
        self.stopping.set()
        if self.is_alive():  # a program goes on when training has ended, without a thread of it
            self.join()
