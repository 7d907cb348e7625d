"""Goodput: which share of a run's wall-clock went into training steps that were kept.

Booked time comes from ``ledger.jsonl``. Steps that were done again after a fault or a rollback are lost, with all that
was spent on them, as is the time from the last booked step until the fault. From there until training goes on it is
restart, with the time in which nobody noticed: a hang begins with the last sign of life. Time between a clean stop and
the next start belongs to nobody and is left out.
"""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from altiplano.planning.reliability import Reliability, ettr
from altiplano.records import FaultFormula, Goodput, LedgerEvent, TrainingSession
from altiplano.training.accounting.ledger import COMPUTE, DATA, INIT, PUBLISHED, SAVE, VALIDATION

LOST, RESTART = "lost", "restart"
BUCKETS = (INIT, DATA, COMPUTE, SAVE, VALIDATION, LOST, RESTART)
FORWARD = (DATA, COMPUTE, VALIDATION)


def booked(events: Sequence[LedgerEvent]) -> list[LedgerEvent]:
    """Without what happened beside training, which took none of its time."""
    return [event for event in events if event.event != PUBLISHED]


def goodput(events: Sequence[LedgerEvent]) -> Goodput:
    """Seconds per bucket, their sum, the wall-clock from first to last event, and the share spent computing kept steps;
    ``forward``: the share that was productive, held-out scores with it, the first start left out.

    The sum and the wall-clock are measured apart from one another: the first inside the ranks, the second between
    events.
    """
    spent = dict.fromkeys(BUCKETS, 0.0)
    kept: list[tuple[int, dict[str, float]]] = []  # steps and what they took
    stopped, last, repairing, clean = 0.0, None, False, True
    for event in booked(events):
        at = event.time
        if last is None:
            last = at
        match event.event:
            case "start":
                if clean:
                    stopped += at - last
                else:  # after a fault was noticed, or after everything was killed and started again by hand
                    spent[RESTART] += at - last
                repairing, clean = not clean, False
            case "fault":
                spent[LOST] += at - last
            case "resume" | "rollback" | "step" | "end":
                seconds = dict(event.seconds)
                if repairing:
                    spent[RESTART] += seconds.pop(INIT, 0.0)
                if event.event == "rollback":
                    # What the rollback itself took is repair, whatever it did.
                    spent[RESTART] += sum(seconds.values())
                    seconds = {}
                if event.event in ("resume", "rollback"):
                    spent[LOST] += sum(sum(took.values()) for step, took in kept if step > event.step)
                    kept = [(step, took) for step, took in kept if step <= event.step]
                kept.append((event.step, seconds))
                clean = event.event == "end"
        last = at
    for _, took in kept:
        for bucket, value in took.items():
            spent[bucket] += value
    wall = (events[-1].time - events[0].time - stopped) if events else 0.0
    return Goodput(
        seconds={bucket: round(value, 3) for bucket, value in spent.items()},
        booked=round(sum(spent.values()), 3),
        wall=round(wall, 3),
        share=spent[COMPUTE] / wall if wall else None,
        forward=sum(spent[bucket] for bucket in FORWARD) / (wall - spent[INIT]) if wall > spent[INIT] else None,
    )


def repairs(events: Sequence[LedgerEvent]) -> tuple[int, float]:
    """Faults, and the seconds from each until training went on.

    Where nobody noticed (under torchrun, or when all was killed and started again), from the last sign of life.
    """
    faults, seconds = 0, 0.0
    since: float | None = None
    last: LedgerEvent | None = None
    for event in booked(events):
        unnoticed = last is not None and event.event == "start" and last.event not in ("end", "fault")
        if event.event == "fault" or unnoticed:
            faults += 1
            if since is None:
                since = last.time if last is not None and unnoticed else event.time
        elif event.event == "resume" and since is not None:
            seconds, since = seconds + event.time - since, None
        last = event
    return faults, seconds


def against_formula(events: Sequence[LedgerEvent]) -> FaultFormula | None:
    """The productive share of time, and the share that ``planning.reliability.ettr`` expects of a run whose faults,
    saves, writing and restarts took what they took here. Rollbacks are not in it. None without a fault, with fewer
    than two checkpoints, and where the clock was set back by more than the run took.
    """
    faults, repaired = repairs(events)
    steps = [event for event in events if event.event == "step"]
    written = {event.step: event.written for event in events if event.event == PUBLISHED}
    apart = [later - earlier for earlier, later in pairwise(sorted(written))]
    saves = [event.seconds.get(SAVE, 0.0) for event in steps if event.step in written]
    if not (faults and apart and saves):
        return None
    spent = goodput(events)
    wall = spent.wall - spent.seconds[INIT]
    if spent.forward is None or wall <= 0:
        return None
    interval = statistics.mean(apart) * statistics.mean(
        sum(event.seconds.get(bucket, 0.0) for bucket in FORWARD) for event in steps
    )
    reliability = Reliability(
        failure_seconds=wall / faults,
        save_seconds=statistics.mean(saves),
        restart_seconds=max(0.0, repaired / faults),
        write_seconds=statistics.mean(written.values()),
    )
    return FaultFormula(
        faults=faults,
        failure_seconds=reliability.failure_seconds,
        interval_seconds=interval,
        save_seconds=reliability.save_seconds,
        write_seconds=reliability.write_seconds,
        restart_seconds=reliability.restart_seconds,
        forward=spent.forward,
        expected=ettr(interval, reliability),
    )


def sessions(events: Sequence[LedgerEvent]) -> list[TrainingSession]:
    """Every stretch between a start and its end or fault."""
    found: list[TrainingSession] = []
    for event in booked(events):
        when = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="seconds")
        if event.event == "start":
            begun = event.time
            found.append(TrainingSession(started=when, layout=event.layout, seconds=0.0, how="killed"))
        elif found:
            changed: dict[str, object] = {"ended": when, "seconds": round(event.time - begun, 3)}
            if event.event == "resume":
                changed["first_step"] = event.step
            if event.event == "fault":
                changed["how"] = event.what
            else:
                changed["last_step"] = event.step
            if event.event == "end":
                changed["how"] = "ended"
            found[-1] = found[-1].model_copy(update=changed)
    return found
