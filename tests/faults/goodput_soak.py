"""Part of ``make soak``: does the goodput formula tell the truth? One training run under random kills beside it.

Ranks are killed at random moments, on average once in ``--apart`` times what a start and the steps between two saves
take here: more often, restarts that make no progress would wait longer and longer, which the formula does not know.
What a save, its writing, a restart and an interval between saves take is measured in the run itself;
``planning.reliability.ettr`` says from them, and from how often ranks were killed, which share of the time must have
been productive. Exits 1 when that is over five points off.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path

from processes import children
from small import SMALL, write_tokenized
from trainings import start

from altiplano.records import LedgerEvent
from altiplano.training.accounting import ledger
from altiplano.training.accounting.goodput import against_formula

POINTS = 5.0
FEWEST = 15
ROLLING = 40
STEPS = 3000


def cycle(folder: Path, done: threading.Event) -> float:
    """Seconds of the first start, without the imports that a restart does not repeat, and between the first saves."""
    while not done.wait(0.2):
        events = ledger.read(folder / "ledger.jsonl") if (folder / "ledger.jsonl").exists() else []
        saves = [event.time for event in events if event.event == ledger.PUBLISHED]
        if len(saves) > 3:
            [start] = [event.seconds[ledger.INIT] for event in events if event.event == "resume"]
            return start + (saves[3] - saves[0]) / 3
    return 0.0


def kill_now_and_then(supervisor: int, folder: Path, apart: float, done: threading.Event) -> None:
    moments, every = random.Random(0), apart * cycle(folder, done)
    while not done.wait(moments.expovariate(1 / every)):
        ranks = children(supervisor)
        if ranks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(moments.choice(ranks), signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apart", type=float, default=2.0, help="starts and intervals between kills, on average")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder, tokens = Path(temporary) / "train", Path(temporary) / "tokenize"
        write_tokenized(tokens)
        overrides = [*SMALL, f"batch.total_tokens={STEPS * 1024}", f"checkpoint.rolling_steps={ROLLING}"]
        overrides += [f"checkpoint.interval_steps={STEPS}", f"evaluation.interval_steps={STEPS}"]
        overrides += ["recovery.max_restarts=1000", "checkpoint.rolling_minutes=0"]
        process, done = start(folder, tokens, "dp2", overrides, fresh=True, begun=None), threading.Event()
        killer = threading.Thread(target=kill_now_and_then, args=(process.pid, folder, options.apart, done))
        killer.start()
        output, _ = process.communicate()
        done.set()
        killer.join()
        if process.returncode:
            print(output, file=sys.stderr)
            return 1
        events = ledger.read(folder / "ledger.jsonl")
    return judge(events)


def judge(events: list[LedgerEvent]) -> int:
    found = against_formula(events)
    if found is None:
        print("no fault, or no checkpoint was written", file=sys.stderr)
        return 1
    forward, expected = 100 * found.forward, 100 * found.expected
    print(f"{found.faults} faults, one in {found.failure_seconds:.1f} s")
    print(f"a restart takes {found.restart_seconds:.2f} s")
    print(
        f"a save every {found.interval_seconds:.2f} s of work stops training for "
        f"{1000 * found.save_seconds:.0f} ms and counts {1000 * found.write_seconds:.0f} ms later"
    )
    print(
        f"productive time: measured {forward:.1f}%, formula {expected:.1f}%, {abs(forward - expected):.1f} points apart"
    )
    passed = found.faults >= FEWEST and abs(forward - expected) <= POINTS
    print(json.dumps({"passed": passed, **found.as_json()}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
