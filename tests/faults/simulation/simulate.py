"""``make simulate``: training campaigns in a virtual world, thousands an hour, and bugs planted on purpose.

    python tests/faults/simulation/simulate.py [--campaigns 600] [--first 0] [--replay SEED] [--planted] [--bug NAME]

Each campaign is a training run of a day of work under faults that follow from its seed: ``--replay`` shows one again,
line by line. Prints how many there were, what happened in them, and every violation with its seed; then plants each bug
of ``bugs.py`` and says which seed finds it. Exits 1 when a rule was violated, goodput is more than a point from the
planner's formula, or a planted bug is not found.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from faults.simulation.bugs import BUGS, Bug
from faults.simulation.campaign import Campaign, new_folder, remove
from faults.simulation.world import Violation

WORKERS = 2
REAL_SECONDS = 300.0
POINT = 0.01
SEEDS_PER_BUG = 24


@dataclass(frozen=True)
class Outcome:
    seed: int
    violation: str
    faults: int
    starts: int
    hours: float
    """Of virtual time."""
    forward: float | None
    expected: float | None


def run_one(seed: int, bug: Bug | None = None) -> Outcome:
    """One campaign in this process, which is good for nothing else afterwards."""
    folder = new_folder()
    campaign = Campaign(seed, folder, plain=bug.plain if bug else None, kinds=bug.kinds if bug else None)
    if bug is not None:
        bug.plant(campaign)
    violation = ""
    try:
        campaign.run()
    except Violation as error:
        violation = str(error)
    except BaseException as error:
        violation = f"{type(error).__name__}: {error}"
    remove(folder)
    formula = getattr(campaign, "formula", None)
    return Outcome(
        seed,
        violation,
        campaign.faults,
        len(campaign.starts),
        campaign.world.now / 3600,
        formula.forward if formula else None,
        formula.expected if formula else None,
    )


def forked(work: Callable[[], Outcome], seed: int, *, quiet: bool = True) -> tuple[int, int]:
    """A child that runs ``work``: its process id, and where its outcome can be read."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[seed % len(cores)]})  # its threads run one at a time: handing on is then cheap
        if quiet:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
        try:
            outcome = work()
        except BaseException as error:
            outcome = Outcome(seed, f"{type(error).__name__}: {error}", 0, 0, 0.0, None, None)
        os.write(writer, json.dumps(asdict(outcome)).encode())
        os._exit(0)
    os.close(writer)
    return pid, reader


def campaigns(seeds: Iterable[int], bug: Bug | None = None, workers: int = WORKERS) -> Iterable[Outcome]:
    """Outcomes as they come. A campaign that takes too long in real time is a violation, too."""
    waiting, running = iter(seeds), dict[int, tuple[int, int, float]]()
    try:
        while True:
            while len(running) < workers and (seed := next(waiting, None)) is not None:
                pid, reader = forked(lambda seed=seed: run_one(seed, bug), seed)  # type: ignore[misc]
                running[pid] = reader, seed, time.monotonic()
            if not running:
                return
            time.sleep(0.01)
            for pid, (reader, seed, begun) in list(running.items()):
                late = time.monotonic() - begun > REAL_SECONDS
                if late:
                    os.kill(pid, signal.SIGKILL)
                if os.waitpid(pid, 0 if late else os.WNOHANG)[0]:
                    raw = os.read(reader, 65536)
                    os.close(reader)
                    del running[pid]
                    yield Outcome(**json.loads(raw)) if raw else Outcome(seed, "takes for ever", 0, 0, 0.0, None, None)
    finally:
        for pid, (reader, _, _) in running.items():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reader)


def points(outcomes: Iterable[Outcome]) -> tuple[int, float]:
    """Campaigns that the formula speaks of, and how far measured goodput is from it, on average."""
    apart = [one.forward - one.expected for one in outcomes if one.forward is not None and one.expected is not None]
    return len(apart), statistics.mean(apart) if apart else 0.0


def found_by(bug: Bug, seeds: int = SEEDS_PER_BUG) -> Outcome | None:
    """The first campaign that a planted bug makes violate a rule, which it does not violate without it."""
    kept: list[Outcome] = []
    for outcome in campaigns(range(seeds), bug):
        if outcome.violation:
            if not any(
                clean.violation for clean in campaigns([outcome.seed], replace(bug, plant=lambda campaign: None))
            ):
                return outcome
            continue
        kept.append(outcome)
        if bug.plain and len(kept) >= 8 and abs(points(kept)[1]) > 3 * POINT:
            return Outcome(**{**asdict(outcome), "violation": f"goodput {100 * points(kept)[1]:+.1f} points off"})
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=600)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--replay", type=int, metavar="SEED", help="show one campaign, line by line")
    parser.add_argument("--bug", help="plant only this bug; with --replay, in that campaign")
    parser.add_argument("--planted", action="store_true", help="only plant the bugs")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.replay is not None:
        return replay(options.replay, next((bug for bug in BUGS if bug.name == options.bug), None))
    begun, bad = time.monotonic(), 0
    outcomes: list[Outcome] = []
    if not options.planted:
        for outcome in campaigns(range(options.first, options.first + options.campaigns)):
            outcomes.append(outcome)
            if outcome.violation:
                bad += 1
                print(f"✗ seed {outcome.seed}: {outcome.violation}", flush=True)
        seconds, (plain, apart) = time.monotonic() - begun, points(outcomes)
        print(
            f"{len(outcomes):,} campaigns, {sum(one.hours for one in outcomes) / 24:,.0f} days of virtual time, "
            f"{sum(one.faults for one in outcomes):,} faults, {sum(one.starts for one in outcomes):,} starts in "
            f"{seconds:.0f} s ({3600 * len(outcomes) / seconds:,.0f} campaigns an hour); {bad} violations; goodput "
            f"{100 * apart:+.2f} points from the formula on average of {plain} campaigns",
            flush=True,
        )
        bad += abs(apart) > POINT
    missed = []
    for bug in [bug for bug in BUGS if options.bug in (None, bug.name)]:
        outcome_of = found_by(bug)
        said = f"seed {outcome_of.seed}: {outcome_of.violation[:110]}" if outcome_of else "NOT FOUND"
        print(f"{'✓' if outcome_of else '✗'} planted: {bug.name}: {said}", flush=True)
        if outcome_of is None:
            missed.append(bug.name)
    print(f"{len(BUGS) - len(missed)} of {len(BUGS)} planted bugs are found; {time.monotonic() - begun:.0f} s")
    print(json.dumps({"passed": not bad and not missed, "violations": bad, "missed": missed}))
    return 1 if bad or missed else 0


def replay(seed: int, bug: Bug | None) -> int:
    folder: Path = new_folder()
    campaign: Any = Campaign(seed, folder, plain=bug.plain if bug else None, kinds=bug.kinds if bug else None)
    if bug is not None:
        bug.plant(campaign)
    code = 0
    try:
        campaign.run()
    except BaseException as error:
        print(f"✗ {type(error).__name__}: {error}", file=sys.stderr)
        code = 1
    print("\n".join(campaign.world.log), file=sys.stderr)
    print(f"files: {folder}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
