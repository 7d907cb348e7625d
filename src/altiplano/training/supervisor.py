"""Keeps a training job alive on this machine: starts its ranks, notices faults, and starts them again.

``python -m altiplano.training.supervisor JOB.json [PARENT]``. This process imports torch once and forks the ranks, so a
restart costs a second. A fault is a rank that dies, fails or shows no progress; the ranks then start again from the
newest sound checkpoint. Bad input and diverged training are not faults: they end the job with their reason, as does a
fault that keeps coming back, and any fault when there were very many. On several machines torchrun's agents do this
work; see ``watchdog.py``.
"""

import json
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from altiplano.errors import (
    INTERRUPTED,
    Fault,
    InputError,
    TrainingError,
    explain_machine_error,
    explain_os_error,
    keep_streams,
)
from altiplano.parallel.processes import STOP_SIGNALS, Ranks, die_with_parent, to_stop
from altiplano.recipe.layout import Layout
from altiplano.storage import Damaged, remove_leftover
from altiplano.training.accounting import ledger
from altiplano.training.checkpoints import checkpoint
from altiplano.training.checkpoints.checkpoint import is_trained
from altiplano.training.export import in_forked_processes
from altiplano.training.job import Job
from altiplano.training.resilience import incidents
from altiplano.training.resilience.heartbeat import collectives_of, stack_of, stalled
from altiplano.training.worker import heartbeats_folder, ledger_file, records_collectives, run_job

DONE, FAILED, BAD_INPUT, STOPPED, FAULT = 0, 1, 2, 3, 70
"""What a rank's exit code says. STOPPED: it was asked to, and saved. FAULT: starting again may help."""
GRACE_SECONDS = 3.0
"""How long the other ranks may take to end after one failed."""
POLL_SECONDS, LOOK_SECONDS = 0.02, 0.5
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Ending:
    """How an attempt ended. ``kind`` is empty unless it was a fault."""

    code: int
    kind: str = ""
    what: str = ""
    rank: int | None = None
    traceback: str = ""
    since: float | None = None
    """time.time() of the fault, where it is known: it was noticed later."""


@dataclass(frozen=True)
class Failure:
    """What a rank says of its end before it ends."""

    rank: int
    code: int
    what: str
    time: float
    lost_peer: bool
    """It failed because another one went away."""
    traceback: str


class Supervisor:
    def __init__(self, job: Job):
        self.job = job
        self.asked_to_stop = False
        self.ranks: Ranks | None = None
        for number in to_stop():
            signal.signal(number, self._stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # one that came at the start is heard now

    def run(self) -> int:
        """Until the job is done and its weights are written, it cannot go on, or was asked to stop; the exit code."""
        job, faults, blamed, restarts = self.job, 0, None, 0
        while True:
            before = newest_step(job)
            begun = job.begun or time.time()
            ledger.note(ledger_file(job), "start", at=begun, **job.facts())
            ending = self._attempt(job.model_copy(update={"begun": begun}))
            if ending.code == DONE and is_trained(job.folder, job.recipe.batch.steps):
                # Its last checkpoint was saved and read back, or verified when this attempt began.
                return in_forked_processes(job, verify=False)
            if ending.code == DONE or not ending.kind:
                return ending.code
            ledger.note(ledger_file(job), "fault", at=ending.since, what=ending.kind)
            if self.asked_to_stop:
                return INTERRUPTED
            faults = 1 if newest_step(job) > before else faults + 1
            layout, now = job.layout, newest_step(job)
            if restarts >= job.recipe.recovery.max_restarts_in_total:
                self._report(ending, f"started again {restarts} times by this command already: stopped", faults)
                return FAILED
            if faults > job.recipe.recovery.max_restarts:
                self._report(ending, f"the same again {faults} times without progress: stopped", faults)
                return FAILED
            if faults > 1 and ending.rank is not None and ending.rank == blamed and job.recipe.recovery.elastic:
                layout = fewer_ranks(layout)
            action = f"starting again from step {now}" + (f" as {layout}" if layout != job.layout else "")
            self._report(ending, action, faults)
            blamed, restarts = ending.rank, restarts + 1
            self._pause(faults)
            job = job.model_copy(update={"layout": layout, "attempt": job.attempt + 1, "begun": None})

    def _attempt(self, job: Job) -> Ending:
        """Start the ranks once and watch them until all have ended."""
        remove_leftover(heartbeats_folder(job))
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        killed_before = out_of_memory_kills()
        self.ranks = ranks = Ranks(job.layout.world_size, lambda: rank_main(job, writer))
        if self.asked_to_stop:  # before there were ranks to hear it
            ranks.signal(signal.SIGTERM)
        codes: dict[int, int] = {}
        first: Ending | None = None
        killed = False
        deadline, polled, looked, asleep = float("inf"), time.monotonic(), 0.0, 0.0
        while ranks.alive:
            now = time.monotonic()
            # Time in which this process itself was stopped (Ctrl-Z) is nobody's hang.
            asleep += max(0.0, now - polled - POLL_SECONDS - 1.0)
            polled = now
            for rank, code in ranks.ended():
                codes[rank] = code
                # One that was killed here is not the cause: it waited for one that failed, and did not notice.
                if code not in (DONE, STOPPED) and first is None and not killed:
                    deadline = min(deadline, now + GRACE_SECONDS)
                    if code < 0:
                        first = _killed(rank, -code, out_of_memory_kills() > killed_before)
            if first is None and now - looked > LOOK_SECONDS:
                looked = now
                if (first := self._hang(job, asleep)) is not None:
                    deadline = now
            if now > deadline:
                ranks.signal(signal.SIGKILL)
                killed = True
            time.sleep(POLL_SECONDS)
        self.ranks = None
        os.close(writer)
        reports = _read_reports(reader)
        return self._judge(first, codes, reports)

    def _judge(self, first: Ending | None, codes: dict[int, int], reports: list[Failure]) -> Ending:
        """The cause among what every rank said: ranks that only lost their peers are not it."""
        for code in (BAD_INPUT, FAILED, INTERRUPTED):
            for report in reports:
                if report.code == code:
                    if report.what:
                        print(f"altiplano: {report.what}", file=sys.stderr)
                    return Ending(code)
        if first is not None:
            return first
        if all(code in (DONE, STOPPED) for code in codes.values()):
            if STOPPED in codes.values() and not self.asked_to_stop:
                return Ending(STOPPED, "stopped", "a rank was asked to stop and all saved", None)
            return Ending(DONE)
        reports.sort(key=lambda report: (report.lost_peer, report.time))
        if not reports:
            return Ending(FAULT, "exception", f"ranks ended with exit codes {sorted(codes.values())}")
        cause = reports[0]
        what = cause.what if cause.what.startswith("silent") else f"rank {cause.rank}: {cause.what}"
        return Ending(FAULT, "exception", what, cause.rank, cause.traceback, cause.time)

    def _hang(self, job: Job, asleep: float) -> Ending | None:
        """A rank without a sign of life for too long."""
        alive = self.ranks.alive if self.ranks is not None else {}  # the number of one that ended may be another's now
        found = stalled(heartbeats_folder(job), time.monotonic() - asleep, pids=alive)
        if not found:
            return None
        since = time.time() - found[0].seconds
        what, stack = str(found[0]), stack_of(heartbeats_folder(job), found[0])
        if records_collectives(job):
            what += f"; {collectives_of(heartbeats_folder(job), found[0], job.folder)}"
        return Ending(FAULT, "hang", what, found[0].rank, stack, since)

    def _report(self, ending: Ending, action: str, faults: int) -> None:
        print(f"altiplano: {ending.what}; {action}", file=sys.stderr)
        facts: dict[str, Any] = {"rank": ending.rank, "faults_in_a_row": faults}
        if ending.traceback:
            facts["traceback"] = ending.traceback
        incidents.record(self.job.folder, ending.kind, ending.what, action, **facts)

    def _pause(self, faults: int) -> None:
        """Longer before every further attempt without progress: what is broken outside may mend itself."""
        end = time.monotonic() + (0.0 if faults == 1 else min(LONGEST_PAUSE, 2.0 ** (faults - 2)))
        while time.monotonic() < end and not self.asked_to_stop:
            time.sleep(POLL_SECONDS)

    def _stop(self, number: int, frame: object) -> None:
        self.asked_to_stop = True
        if self.ranks is not None:
            self.ranks.signal(number)


def rank_main(job: Job, writer: int) -> int:
    """The life of one rank; says through the pipe ``writer`` why it failed."""
    rank = int(os.environ["RANK"])

    def report_failure(code: int, what: str, lost_peer: bool = False, trace: str = "") -> int:
        report = Failure(rank, code, what[:500], time.time(), lost_peer, trace[-2000:])
        # One write of less than PIPE_BUF bytes is never mixed with another's.
        os.write(writer, json.dumps(asdict(report)).encode() + b"\n")
        return code

    try:
        return STOPPED if run_job(job)["interrupted"] else DONE
    except (InputError, Damaged) as error:
        return report_failure(BAD_INPUT, str(error))
    except TrainingError as error:
        return report_failure(FAILED, str(error))
    except KeyboardInterrupt:
        return report_failure(INTERRUPTED, "")
    except Fault as error:
        return report_failure(FAULT, str(error))
    except OSError as error:
        explanation = explain_os_error(error)
        if explanation is not None:
            return report_failure(BAD_INPUT, explanation)
        return report_failure(FAULT, f"{type(error).__name__}: {error}", trace=traceback.format_exc())
    except BaseException as error:
        what = " ".join(str(error).split())
        return report_failure(FAULT, f"{type(error).__name__}: {what}", _lost_peer(error), traceback.format_exc())


def _lost_peer(error: BaseException) -> bool:
    """Whether a collective failed because another process went away."""
    signs = ("Connection closed by peer", "Connection reset", "Connection refused", "Broken pipe", "Timed out", "NCCL")
    return isinstance(error, torch.distributed.DistError) or any(sign in str(error) for sign in signs)


def _killed(rank: int, number: int, out_of_memory: bool) -> Ending:
    name = signal.Signals(number).name
    why = " (the machine ran out of memory)" if out_of_memory and number == signal.SIGKILL else ""
    return Ending(FAULT, name, f"rank {rank} was ended by {name}{why}", rank, since=time.time())


def out_of_memory_kills() -> int:
    """How many processes of this control group the kernel has killed for memory so far."""
    try:
        events = Path("/sys/fs/cgroup/memory.events").read_text().split()
        return int(events[events.index("oom_kill") + 1])
    except (OSError, ValueError):
        return 0


def _read_reports(reader: int) -> list[Failure]:
    raw = b""
    try:
        while part := os.read(reader, 65536):
            raw += part
    except BlockingIOError:
        pass
    finally:
        os.close(reader)
    return [Failure(**json.loads(line)) for line in raw.splitlines()]


def newest_step(job: Job) -> int:
    return max((checkpoint.step_of(saved) for saved in checkpoint.saved(job.folder / "checkpoints")), default=0)


def fewer_ranks(layout: Layout) -> Layout:
    """One data-parallel rank less, or one whole copy of the weights: the others take over its share of every batch."""
    if layout.replicas > 1:
        shards = layout.dp // layout.replicas
        return layout.model_copy(update={"dp": layout.dp - shards, "replicas": layout.replicas - 1})
    return layout.model_copy(update={"dp": layout.dp - 1}) if layout.dp > 1 else layout


def main() -> int:
    keep_streams()
    die_with_parent(int(sys.argv[2]) if len(sys.argv) > 2 else None)
    try:
        job = Job.model_validate_json(Path(sys.argv[1]).read_text())
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // job.layout.world_size))
        return Supervisor(job).run()
    except OSError as error:
        explanation = explain_os_error(error)
        print(f"altiplano: {explanation or explain_machine_error(error)}", file=sys.stderr)
        return BAD_INPUT if explanation else FAILED
    except MemoryError as error:
        print(f"altiplano: {explain_machine_error(error)}", file=sys.stderr)
        return FAILED
    except (InputError, Damaged) as error:
        print(f"altiplano: {error}", file=sys.stderr)
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
