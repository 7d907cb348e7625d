"""How fast we train beside others: the same model, weights, batches and batch order, the contenders taking turns.

    python benchmarks/training.py                 both sizes, on the GPU if there is one, else on the CPU
    python benchmarks/training.py --sizes 40M     one size
    python benchmarks/training.py --quick         a smoke test of all contenders; no speed is demanded

Each contender lives in a process of its own, so that its memory is its own; one step of each makes a round. Ratios are
taken within a round and their median and quartiles reported, so that a machine that slows down slows down all. MFU is
model FLOPs (``planning/model_size.py``: forward and backward, causal attention) over the matrix-product peak measured
in the same round: of bfloat16, or of float32 on a processor without units for bfloat16. The rival is transformers in
the faster of its stock settings, bfloat16 by autocast or float32; without units autocast would take minutes a step and
does not take part. The demands are made of "altiplano", which attends to whole rows like the others; "altiplano,
documents" keeps attention within packed documents, as our training does and the others do not.

With ``--cpu-time`` and OMP_NUM_THREADS=1 seconds are those that a processor worked for the contender, not those on the
clock: what is left to measure when others use the machine. Ends with one JSON line; exit status 1 when a demand is
missed.
"""

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from sizes import CLOCKS, SIZES, benchmark_recipe

from altiplano.parallel.bfloat16 import Products, fastest_products
from altiplano.planning.model_size import parameters, training_flops_per_token
from altiplano.training.metrics import device_name

OURS = ["altiplano", "altiplano, documents"]
RIVALS = ["transformers", "transformers, float32"]
OTHERS = ["plain loop", *(["litgpt"] if find_spec("litgpt") else [])]
# Times the rival's speed, and share of the peak.
DEMANDS: dict[str, tuple[float, float]] = {"native": (1.5, 0.6), "float32": (1.3, 0.7)}
# Nats between the first losses of contenders that see the same tokens without document masks: bfloat16's rounding.
SAME_LOSS = 0.001
WARM_UP = 2


def names(way: str, demanded: bool) -> list[str]:
    """``demanded``: only those that a demand is about, for machines that cannot hold all of them at once."""
    rivals = [RIVALS[1]] if way == "float32" else RIVALS
    others = [f"{other}, float32" for other in OTHERS] if way == "float32" else OTHERS
    return [OURS[0], *rivals] if demanded else [*OURS, *rivals, *others]


class Contender:
    """A process that does one step when asked."""

    def __init__(self, name: str, size: str, sequence: int, rows: int, device: str, clock: str):
        self.name = name
        arguments = [name, size, str(sequence), str(rows), device, clock]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("contenders.py")), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def step(self, number: int) -> dict[str, float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            killed = self.process.wait() == -signal.SIGKILL
            why = (
                "killed, probably for lack of memory: try --demanded or --rows 2" if killed else "its message is above"
            )
            sys.exit(f"{self.name} ended: {why}")
        return json.loads(answer)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def matmul_peak(device: str, clock: str, dtype: torch.dtype, seconds: float = 0.4) -> float:
    """FLOP/s of the best square matrix product, of several sizes and repetitions."""
    best, now = 0.0, CLOCKS[clock]
    for size in (4096, 8192) if device == "cuda" else (1024, 2048, 3072):
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        end = time.monotonic() + seconds / 3
        while time.monotonic() < end:
            start = now()
            a @ b
            if device == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2 * size**3 / (now() - start))
    return best


def measure(
    size: str, sequence: int, rows: int, rounds: int, device: str, clock: str, way: str, taking_part: list[str]
) -> dict[str, Any]:
    first: dict[str, float] = {}
    contenders = [Contender(name, size, sequence, rows, device, clock) for name in taking_part]
    dtype = torch.float32 if way == "float32" else torch.bfloat16
    for contender in contenders:  # one after the other: nobody starts up while another is measured
        losses = [contender.step(number)["loss"] for number in range(WARM_UP)]
        first[contender.name] = losses[0]
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in taking_part}
    peaks = []
    for number in range(WARM_UP, WARM_UP + rounds):
        peaks.append(matmul_peak(device, clock, dtype))
        for contender in contenders:
            answers[contender.name].append(contender.step(number))
    for contender in contenders:
        contender.end()

    recipe = benchmark_recipe(size, sequence, rows)
    flops = training_flops_per_token(recipe.model, sequence)
    taken = {name: statistics.median(step["seconds"] for step in steps) for name, steps in answers.items()}
    rival = min((name for name in RIVALS if name in taken), key=lambda name: taken[name])
    result: dict[str, Any] = {
        "way": way,
        "contenders": taking_part,
        "rival": rival,
        "parameters": parameters(recipe.model),
        "sequence": sequence,
        "rows": rows,
        "peak_gflops": [round(peak / 1e9) for peak in peaks],
    }
    for name, steps in answers.items():
        speeds = [sequence * rows / step["seconds"] for step in steps]
        ratios = [theirs["seconds"] / step["seconds"] for step, theirs in zip(steps, answers[rival], strict=True)]
        result[name] = {
            "tokens_per_second": spread(speeds),
            "mfu": spread([speed * flops / peak for speed, peak in zip(speeds, peaks, strict=True)]),
            "ratio": spread(ratios),
            "memory_bytes": max(step["memory"] for step in steps),
            "first_loss": first[name],
            "last_loss": steps[-1]["loss"],
        }
    return result


def spread(values: list[float]) -> list[float]:
    """Median, lower and upper quartile."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return [middle, low, high]


def missed(size: str, result: dict[str, Any], speed: bool) -> list[str]:
    """Demands that this result does not meet: the same work, and (unless it is a smoke test) the speed."""
    ours, rival, problems = result["altiplano"], result["rival"], []
    speedup, mfu = DEMANDS[result["way"]]
    if speed and ours["ratio"][0] < speedup:
        problems.append(f"{size}: {ours['ratio'][0]:.2f} times {rival}'s speed, {speedup} demanded")
    if speed and ours["mfu"][0] < mfu:
        problems.append(f"{size}: MFU {ours['mfu'][0]:.1%}, {mfu:.0%} demanded")
    for name in result["contenders"]:
        if "documents" not in name and abs(result[name]["first_loss"] - result[rival]["first_loss"]) > SAME_LOSS:
            problems.append(f"{size}: {name} computes another first loss: {result[name]['first_loss']:.4f}")
    return problems


def show(size: str, result: dict[str, Any]) -> None:
    peak = statistics.median(result["peak_gflops"])
    print(
        f"\n{size}: {result['parameters']:,} parameters, {result['rows']} × {result['sequence']:,} tokens a step, "
        f"matrix-product peak {peak:,.0f} GFLOP/s ({min(result['peak_gflops']):,} to {max(result['peak_gflops']):,})"
    )
    beside = f"× {result['rival']} (quartiles)"
    print(f"{'':24}{'tokens/s':>10}{'MFU':>8}{beside:>42}{'memory':>10}{'losses':>18}")
    for name in result["contenders"]:
        one = result[name]
        ratio = "{:.2f} ({:.2f} to {:.2f})".format(*one["ratio"])
        print(
            f"{name:24}{one['tokens_per_second'][0]:10,.0f}{one['mfu'][0]:8.1%}{ratio:>42}"
            f"{one['memory_bytes'] / 2**30:6.2f} GiB{one['first_loss']:9.4f}{one['last_loss']:9.4f}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="40M,120M", help="of " + ", ".join(SIZES))
    parser.add_argument("--sequence", type=int, default=1024)
    parser.add_argument("--rows", type=int, default=4, help="sequences per step")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--demanded", action="store_true", help="altiplano and transformers only: half the memory")
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that others use: see above")
    parser.add_argument("--save", type=Path, help="also append the JSON line to this file")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.sequence, options.rows, options.rounds = "tiny", 128, 2, 2
    clock = "cpu" if options.cpu_time else "wall"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    products = Products("native") if device == "cuda" else fastest_products()
    record: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": device_name(torch.device(device)),
        "products": str(products),
        "clock": clock,
        "threads": torch.get_num_threads(),
        **{library: version(library) for library in ("torch", "transformers", "litgpt") if find_spec(library)},
        "python": platform.python_version(),
        "columns": "median, lower quartile, upper quartile",
        "sizes": {},
    }
    print(f"{record['machine']}, torch {record['torch']}, transformers {record['transformers']}\n{products}")
    problems = []
    for size in options.sizes.split(","):
        result = measure(
            size,
            options.sequence,
            options.rows,
            options.rounds,
            device,
            clock,
            products.way,
            names(products.way, options.demanded),
        )
        show(size, result)
        record["sizes"][size] = result
        problems += missed(size, result, speed=not options.quick)
    record["missed"] = problems
    print("", *problems or ["all demands met" if not options.quick else "smoke test: no speed demanded"], sep="\n")
    line = json.dumps(record)
    if options.save:
        with options.save.open("a") as file:
            file.write(line + "\n")
    print(line)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
