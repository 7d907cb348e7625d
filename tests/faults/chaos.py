"""Train under random ``kill -9`` and a change of layout, as a user would: the same command again and again.

    python tests/faults/chaos.py WORKSPACE --half 256 -- small --set corpus.root=PATH …

runs ``altiplano train`` with what follows ``--``, kills the whole tree at random moments (on average every so many
seconds) and starts it again until it is done. The first layout trains the first half, the second the rest. To see the
curve beside an undisturbed run's: ``altiplano report WORKSPACE --compare OTHER``.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def steps_taken(workspace: Path) -> int:
    files = [*workspace.glob(".work/train-*/metrics.jsonl"), *workspace.glob("train/metrics.jsonl")]
    return max((len(file.read_text().splitlines()) for file in files), default=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--every", type=float, default=40.0, help="seconds between kills, on average")
    parser.add_argument("--layouts", default="dp1,dp2")
    parser.add_argument("--half", type=int, required=True, help="the step from which on the second layout is used")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("arguments", nargs="+")
    options = parser.parse_args()
    layouts, moments = options.layouts.split(","), random.Random(options.seed)
    kills, begun = 0, time.monotonic()
    while True:
        second = steps_taken(options.workspace) >= options.half
        layout = layouts[-1 if second else 0]
        command = [sys.executable, "-m", "altiplano", "train", *options.arguments]
        command += ["--workspace", str(options.workspace), "--layout", layout]
        if not second:  # this layout's part of the run ends cleanly, so that the change is exactly one
            command += ["--steps", str(options.half)]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            process.wait(moments.uniform(0.5, 1.5) * options.every)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            print(f"killed at step {steps_taken(options.workspace)} ({layout})", file=sys.stderr, flush=True)
            continue
        if process.returncode or second:
            break
    print(json.dumps({"kills": kills, "seconds": time.monotonic() - begun, "exit": process.returncode}))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
