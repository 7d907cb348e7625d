"""``make soak``: one run in which every kind of fault happens, compared with a run in which none does.

Prints a table of fault, how long until it was noticed, how long until training went on, steps lost. Exits 1 unless the
final weights are bit-equal to those of an undisturbed run with the same list of skips, no fault cost more than the
rolling interval, and the ledger sums to wall-clock within 1 %.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from small import SMALL, write_tokenized
from trainings import start

from altiplano.records import Incident
from altiplano.training.accounting import goodput, ledger
from altiplano.training.resilience import incidents

SEQUENCES, ROLLING = 16, 5
MEANWHILE = 2  # steps that may be taken while a checkpoint is being written
RECIPE = [
    *SMALL,
    "batch.total_tokens=163840",  # 160 steps
    "evaluation.interval_steps=50",
    "checkpoint.interval_steps=50",
    f"checkpoint.rolling_steps={ROLLING}",
    "guards.spike_window=16",
    "guards.spike_zscore=8",
    "recovery.hang_seconds=8",
    "recovery.check_weights_every=1",
    "recovery.check_speed_every=3",
]
FAULTS: list[dict[str, Any]] = [
    {"kind": "kill", "rank": 1, "step": 7},
    {"kind": "kill", "rank": 0, "step": 13},
    {"kind": "raise", "rank": 1, "step": 18},
    {"kind": "memory", "rank": 1, "step": 24},
    {"kind": "terminate", "rank": 1, "step": 31},
    {"kind": "nan", "rank": 1, "step": 37},
    {"kind": "stop", "rank": 1, "step": 42},
    {"kind": "hang", "rank": 0, "step": 48},
    {"kind": "flip", "rank": 1, "step": 53},
    {"kind": "poison", "rank": 0, "step": 62, "samples": [62 * SEQUENCES, 65 * SEQUENCES]},
    {"kind": "slow", "rank": 1, "step": 70, "steps": 9},
    {"kind": "kill before writing", "rank": 0, "step": 85},
    {"kind": "kill after writing", "rank": 1, "step": 90},
    {"kind": "kill before publishing", "rank": 0, "step": 95},
    {"kind": "kill before the rename", "rank": 0, "step": 100},
    {"kind": "kill after publishing", "rank": 0, "step": 105},
    {"kind": "kill", "rank": 1, "step": 117},  # two in a row: again as soon as it is back
    {"kind": "kill", "rank": 1, "step": 115},
    {"kind": "damage", "rank": 0, "step": 128},  # a newest checkpoint that does not read back, and everything killed
]


def finish(process: Any, limit: float = 900) -> str:
    output, _ = process.communicate(timeout=limit)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}:\n{output}")
    return str(output)


def damage_newest(folder: Path) -> None:
    newest = max((folder / "checkpoints").glob("step-*"))
    victim = next(newest.glob("*.distcp"))
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(raw)


def steps_so_far(folder: Path) -> int:
    return max((event.step for event in ledger.read(folder / "ledger.jsonl") if event.event == "step"), default=0)


def run_with_faults(folder: Path, tokens: Path, layout: str) -> None:
    """The faults in order; at "damage" the whole tree is killed from outside and a new command started."""
    damage = next(fault for fault in FAULTS if fault["kind"] == "damage")
    process = start(folder, tokens, layout, RECIPE, FAULTS, fresh=True)
    while steps_so_far(folder) < damage["step"] and process.poll() is None:
        time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        mark = folder / "injected" / str(FAULTS.index(damage))
        mark.write_text(json.dumps({**damage, "time": time.time()}))
        damage_newest(folder)
        process = start(folder, tokens, layout, RECIPE, FAULTS, fresh=True)
    print(finish(process), file=sys.stderr)


def table(folder: Path) -> list[dict[str, Any]]:
    """One row a fault, from the marks of the faults, the incidents and the ledger."""
    events, noted = ledger.read(folder / "ledger.jsonl"), incidents.read(folder)
    rows = []
    for number in range(len(FAULTS)):
        mark = folder / "injected" / str(number)
        fault = json.loads(mark.read_text()) if mark.exists() else {**FAULTS[number], "time": None}
        row = {
            "kind": fault["kind"],
            "rank": fault["rank"],
            "step": fault["step"],
            "happened": fault["time"] is not None,
        }
        rows.append(row)
        if fault["time"] is None:
            continue
        noticed = next((i for i in noted if i.time >= fault["time"]), None)
        if fault["kind"] == "damage":  # nobody was left to notice; the next command was
            begun = next(e.time for e in events if e.time > fault["time"])
            noticed = Incident(time=begun, kind="damage", what="new command", action="")
        if noticed is None:
            continue
        before = [e.step for e in events if e.event == "step" and e.time <= noticed.time]
        back = next((e for e in events if e.event in ("resume", "rollback") and e.time > fault["time"]), None)
        again = next((e.time for e in events if e.event == "step" and e.time > noticed.time), None)
        row["noticed"] = noticed.time - fault["time"]
        row["again"] = None if again is None else again - noticed.time
        stays = fault["kind"] in ("nan", "slow")
        row["lost"] = 0 if stays or back is None else max([0, *before]) - back.step
        row["what"] = noticed.what
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--layout", default="dp2")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    options = parser.parse_args()
    base = options.keep or Path(tempfile.mkdtemp(prefix="soak-"))
    tokens, disturbed, undisturbed = base / "tokens", base / "disturbed", base / "undisturbed"
    write_tokenized(tokens)
    begun = time.monotonic()
    run_with_faults(disturbed, tokens, options.layout)
    wall = time.monotonic() - begun
    undisturbed.mkdir()
    shutil.copy(disturbed / "skips.json", undisturbed)
    finish(start(undisturbed, tokens, options.layout, RECIPE, fresh=True))

    rows = table(disturbed)
    show(rows)
    ours, theirs = (load_file(folder / "weights" / "model.safetensors") for folder in (disturbed, undisturbed))
    equal = all(bool((value == theirs[name]).all()) for name, value in ours.items())
    booked = goodput.goodput(ledger.read(disturbed / "ledger.jsonl"))
    error = abs(booked.booked - wall) / wall
    # A damaged checkpoint costs the interval before it, too.
    rested = [row for row in rows if row["kind"] != "damage"]
    worst = {
        saving: max(row.get("lost", 10**6) for row in rested if row["kind"].startswith("kill ") == saving)
        for saving in (False, True)
    }
    print(f"final weights bit-equal to the undisturbed run's with the same skips: {equal}")
    print(f"most steps lost to one fault: {worst[False]} (rolling interval {ROLLING})")
    print(f"most steps lost to a kill during a save: {worst[True]} (steps taken while it was written come on top)")
    print("ledger: " + "  ".join(f"{name} {seconds:.1f}s" for name, seconds in booked.seconds.items()))
    print(f"booked {booked.booked:.1f} s of {wall:.1f} s wall-clock, {error:.2%} off; goodput {booked.share:.0%}")
    passed = (
        equal
        and error <= 0.01
        and worst[False] <= ROLLING
        and worst[True] <= ROLLING + MEANWHILE
        and all("noticed" in row for row in rows)
    )
    print(json.dumps({"passed": passed, "equal": equal, "ledger_error": error, "faults": rows}))
    return 0 if passed else 1


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'fault':24} {'rank':>4} {'step':>5} {'noticed':>9} {'again':>8} {'lost':>5}  what was said")
    for row in rows:
        noticed, again = row.get("noticed"), row.get("again")
        known = noticed is not None and again is not None
        times = f"{noticed:8.1f}s {again:7.1f}s" if known else f"{'never':>9} {'':8}"
        name = f"{row['kind']:24} {row['rank']:4} {row['step']:5}"
        print(f"{name} {times} {row.get('lost', ''):>5}  {row.get('what', '')[:90]}")


if __name__ == "__main__":
    sys.exit(main())
