"""What layouts cost on this machine, against one process, and the pipeline's bubble against theory.

    python benchmarks/layouts.py            about four minutes on two cores
    python benchmarks/layouts.py --quick    a smoke test

Scaling: the same global batch on two ranks of one thread each (strong), and twice the batch (weak), against one process
with two threads. Bubble: the share of a step in which a rank waits, as wall-clock less processor time (a waiting rank
sleeps), against (p - 1) / v of m + (p - 1) / v for p ranks of v stages and m micro-batches. The model is deep and its
vocabulary small, which makes all stages nearly equal work. Medians.
Ends with one JSON line; exit status 1 when a bubble is more than 15 % from theory.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from sizes import benchmark_recipe, random_batch

from altiplano.parallel.processes import fork_ranks
from altiplano.recipe.layout import Layout
from altiplano.training.metrics import device_name

SEQUENCE = 512
SCALING = {
    "dp2": Layout(dp=2),
    "tp2": Layout(tp=2),
    "cp2": Layout(cp=2),
    "pp2": Layout(pp=2, micro_batch=1),
}
BUBBLES = {
    "1F1B": Layout(pp=2, micro_batch=1),
    "interleaved": Layout(pp=2, micro_batch=1, schedule="interleaved"),
    "GPipe": Layout(pp=2, micro_batch=1, schedule="gpipe"),
}
MICRO_BATCHES = 4
TOLERANCE = 0.15


def measure(size: str, layout: Layout, rows: int, rounds: int) -> tuple[float, float]:
    """Median seconds of forward and backward of ``rows`` sequences under ``layout`` on fresh ranks, warmed up, and the
    median share of it in which a rank waits."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        __file__,
        "--ranks",
        size,
        layout.model_dump_json(),
        str(rows),
        str(rounds),
    ]
    threads = max(1, (os.cpu_count() or 1) // layout.world_size)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    output = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
    seconds, busy = (torch.tensor(values)[2:] for values in json.loads(output.splitlines()[-1]))
    return float(seconds.median()), float((1 - busy / seconds / layout.world_size).median())


def ranks(size: str, layout: Layout, rows: int, rounds: int) -> int:
    def rank() -> int:
        from altiplano.parallel.mesh import start_mesh
        from altiplano.parallel.parallelize import parallelize
        from altiplano.tokens.loader import Batch
        from altiplano.training.accounting.hardware import keep_freed_memory
        from altiplano.training.loss import token_losses

        keep_freed_memory()
        recipe = benchmark_recipe(size, SEQUENCE, rows)
        mesh = start_mesh(layout, "cpu")
        model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
        whole = random_batch(recipe, 0, documents=False)
        mine = layout.share(range(rows), mesh.rank("dp"))
        share = slice(mine.start, mine.stop)
        batch = Batch(whole.tokens[share], whole.targets[share], whole.document[share])
        seconds, busy = [], []
        for _ in range(rounds + 2):
            torch.distributed.barrier()
            start, processor = time.perf_counter(), time.process_time()
            model.step(batch, rows, whole.valid)
            worked = torch.tensor(time.process_time() - processor)
            torch.distributed.barrier()
            seconds.append(time.perf_counter() - start)
            torch.distributed.all_reduce(worked)
            busy.append(worked.item())
            for part in model.parts:
                part.zero_grad(set_to_none=True)
        if torch.distributed.get_rank() == 0:
            print(json.dumps([seconds, busy]), flush=True)
        return 0

    return fork_ranks(layout.world_size, rank)


def scaling(size: str, rows: int, rounds: int) -> dict[str, Any]:
    """Median seconds of one process and of two ranks with the same batch and with twice the batch."""
    result = {}
    one, _ = measure(size, Layout(), rows, rounds)
    print(f"\n{size}, {rows} × {SEQUENCE} tokens; one process with all threads: {one:.3f} s")
    print(f"{'layout':12}{'strong: seconds':>18}{'overhead':>10}{'weak: seconds':>18}{'overhead':>10}")
    for name, layout in SCALING.items():
        strong, weak = (measure(size, layout, n * rows, rounds)[0] for n in (1, 2))
        result[name] = {
            "strong": strong,
            "weak": weak,
            "strong_overhead": strong / one - 1,
            "weak_overhead": weak / (2 * one) - 1,
        }
        print(f"{name:12}{strong:18.3f}{strong / one - 1:10.1%}{weak:18.3f}{weak / (2 * one) - 1:10.1%}")
    return {"one_process": one, **result}


def bubbles(size: str, rounds: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    print(f"\n{size}, 2 ranks, {MICRO_BATCHES} micro-batches of 1 × {SEQUENCE} tokens")
    print(f"{'schedule':16}{'seconds':>10}{'bubble':>9}{'theory':>9}{'apart':>8}")
    for name, layout in BUBBLES.items():
        seconds, bubble = measure(size, layout, MICRO_BATCHES, rounds)
        fill = (layout.pp - 1) / layout.stages_per_rank
        theory = fill / (MICRO_BATCHES + fill)
        result[name] = {"seconds": seconds, "bubble": bubble, "theory": theory, "apart": bubble / theory - 1}
        print(f"{name:16}{seconds:10.3f}{bubble:9.1%}{theory:9.1%}{bubble / theory - 1:8.1%}")
    return result


def main() -> int:
    if sys.argv[1:2] == ["--ranks"]:
        size, layout, rows, rounds = sys.argv[2:]
        return ranks(size, Layout.model_validate_json(layout), int(rows), int(rounds))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", type=Path, help="also append the JSON line to this file")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    record: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": device_name(torch.device("cpu")),
        "torch": torch.__version__,
        "scaling": scaling("tiny" if options.quick else "40M", 4, rounds),
        "bubble": bubbles("tiny" if options.quick else "deep", rounds),
    }
    far = [name for name, one in record["bubble"].items() if abs(one["apart"]) > TOLERANCE and not options.quick]
    print("", *[f"{name}: the bubble is more than {TOLERANCE:.0%} from theory" for name in far], sep="\n")
    line = json.dumps(record)
    if options.save:
        with options.save.open("a") as file:
            file.write(line + "\n")
    print(line)
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
