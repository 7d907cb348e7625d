"""What this machine can do, measured: the file that ``altiplano doctor --measure`` writes for the planner.

Let the C library keep memory that training frees, instead of returning it to the system after every tensor.
"""

import ctypes
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.nn.functional as F

from altiplano.parallel.affinity import where_ranks_run
from altiplano.parallel.bfloat16 import attention, fastest_products, use
from altiplano.planning.step_time.cpu import TILE_QUERIES
from altiplano.training.accounting.peak import datasheet_peak, matmul_peak
from altiplano.training.metrics import device_name

SECONDS, ROUNDS = 0.3, 3
"""For each figure, in each round."""

PROCESSOR = ("call_seconds", "score_seconds", "elementwise_bandwidth")
NARROW = (4096, 256)
ROWS, TOKENS, HEADS, HEAD = 4, 1024, 8, 64
SCORES = ROWS * TOKENS * TOKENS * HEADS / 2
COMPUTED_SCORES = ROWS * TOKENS * (TOKENS + TILE_QUERIES) * HEADS / 2
"""On a processor tiles on the diagonal are computed whole."""


def measure_hardware(device: torch.device) -> dict[str, float]:
    """FLOP/s, bytes/s, seconds and GiB of ``device``, under the planner's names (planning/stacks.py: Chip).

    Measured three times over, and the best of each, as others may use the machine.
    """
    if device.type == "cpu":
        use(fastest_products().way)
    keep_freed_memory()  # as training does; without, every result is faulted in again
    rounds = [_measure(device) for _ in range(ROUNDS)]
    bf16 = max(one["peak_bf16"] for one in rounds)
    attention, products = (min(one[key] for one in rounds) for key in ("attention", "products"))
    best = {key: max(one[key] for one in rounds) for key in rounds[0] if key not in ("attention", "products")}
    return best | {
        # A few thousand rows by a narrow matrix, forward and backward: what they take beyond their FLOPs.
        "call_seconds": max(0.0, products - 3 * 2 * NARROW[0] * NARROW[1] ** 2 / bf16) / 3,
        "score_seconds": max(1e-12, attention / COMPUTED_SCORES - 4 * HEAD / (0.8 * bf16)),
        "attention": 4 * HEAD * SCORES / attention / bf16,
        "memory_gib": _memory_gib(device),
        "disk_bandwidth": _disk_bandwidth(),
    }


def _measure(device: torch.device) -> dict[str, float]:
    return {
        "peak_bf16": matmul_peak(device, torch.bfloat16, 3 * SECONDS),
        "peak_fp32": matmul_peak(device, torch.float32, SECONDS),
        "products": _narrow_products(device),
        "attention": _attention_seconds(device),
        "elementwise_bandwidth": _elementwise_bandwidth(device),
        "memory_bandwidth": _memory_bandwidth(device),
    }


def best_seconds(device: torch.device, work: Callable[[], object]) -> float:
    best, end = float("inf"), time.monotonic() + SECONDS
    while time.monotonic() < end or best == float("inf"):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def _narrow_products(device: torch.device) -> float:
    """Seconds of a narrow layer's three products, forward and backward."""
    rows, width = NARROW
    x, w = (torch.randn(size, width, device=device, dtype=torch.bfloat16) for size in (rows, width))
    return sum(best_seconds(device, product) for product in (lambda: F.linear(x, w), lambda: x @ w, lambda: x.T @ x))


def _elementwise_bandwidth(device: torch.device) -> float:
    """Bytes that SiLU and its product read and write a second: three bf16 numbers for each element."""
    gate, up = (torch.randn(4096, 1408, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 6 * gate.numel() / best_seconds(device, lambda: F.silu(gate) * up)


def _memory_bandwidth(device: torch.device) -> float:
    """Bytes read and written by a copy of 256 MB, a second."""
    source = torch.ones(64 * 2**20, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / best_seconds(device, lambda: target.copy_(source))


def _attention_seconds(device: torch.device) -> float:
    """Of a forward pass over ``SCORES`` causal scores."""
    q, k, v = (torch.randn(ROWS, TOKENS, heads, HEAD, device=device, dtype=torch.bfloat16) for heads in (HEADS, 4, 4))
    return best_seconds(device, lambda: attention()(q, k, v, None))


def _memory_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory) / 2**30
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _disk_bandwidth() -> float:
    """Bytes a second of a 256 MB file written and synced in the current folder."""
    data = os.urandom(2**20)
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
        start = time.perf_counter()
        for _ in range(256):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return 256 * 2**20 / (time.perf_counter() - start)


def describe_machine() -> list[str]:
    """What training would find here, a line each."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lines = [
        f"device    {device_name(device)}" + (f" × {torch.cuda.device_count()}" if device.type == "cuda" else ""),
        f"memory    {_memory_gib(device):,.1f} GiB",
        f"software  torch {torch.__version__}, Python {platform.python_version()}, {torch.get_num_threads()} threads",
    ]
    if device.type == "cuda":
        known = datasheet_peak(device, torch.bfloat16)
        return [
            *lines,
            f"peak      {known / 1e12:,.0f} TFLOP/s in bfloat16 by its datasheet" if known else "peak      not known",
            *(f"binding   {where_ranks_run(torch.device('cuda', n))}" for n in range(torch.cuda.device_count())),
        ]
    products = fastest_products()
    use(products.way)
    peaks = (matmul_peak(device, dtype, SECONDS) / 1e9 for dtype in (torch.bfloat16, torch.float32))
    return [*lines, "peak      {:,.0f} GFLOP/s in bfloat16, {:,.0f} in float32".format(*peaks), f"products  {products}"]


def hardware_file(device: torch.device) -> str:
    """TOML that a cluster file's ``chip`` may name."""
    found, name = measure_hardware(device), device_name(device)
    where = f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads, {datetime.now(UTC):%Y-%m-%d}"
    cpu = device.type == "cpu"

    def line(key: str, value: object, tag: str = "measured", source: str = where) -> str:
        return f'{key} = {{value = {value}, tag = "{tag}", source = "{source}"}}'

    kernel = "tiles" if cpu else "flash2"
    assumed = "assumed", "not measured: edit it if you know better"
    lines = [
        "# Written by altiplano doctor --measure. Bytes and FLOP per second, GiB, watts.",
        'name = "this-machine"',
        f'description = "{name}"',
        *(line(key, f"{found[key]:.4g}") for key in ("peak_bf16", "peak_fp32", "memory_bandwidth", "memory_gib")),
        line("attention", f"{{{kernel} = {found['attention']:.3g}}}"),
        line("disk_bandwidth", f"{found['disk_bandwidth']:.4g}"),
        *([line(key, f"{found[key]:.3g}") for key in PROCESSOR] if cpu else []),
        line("matmul_share", "1.0", "derived", "peaks are measured, not a datasheet's"),
        line("link_bandwidth", "2e9" if cpu else "200e9", *assumed),
        line("network_bandwidth", "1e9" if cpu else "25e9", *assumed),
        line("node", 1 if cpu else torch.cuda.device_count(), "derived", where),
        line("chip_watts", 65 if cpu else 700, *assumed),
        line("node_watts", 65 if cpu else 1275, *assumed),
    ]
    return "\n".join(lines) + "\n"


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = -1


def keep_freed_memory() -> None:
    """glibc maps every large block anew and so faults in every page again, step after step.

    Keeping it made the quickstart's training 28 % faster on two cores. There is no threshold: one of 1 GiB and trimming
    beyond 2 GiB still faulted in 2 GiB again at every step of a model of 120M parameters. Other C libraries are left
    alone.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)
