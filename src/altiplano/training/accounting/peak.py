"""What the devices of a run could multiply at most: the divisor of MFU."""

import math
import os
import sys
import time
from typing import Any

import torch
import torch.distributed as dist

from altiplano.parallel.mesh import Mesh
from altiplano.parallel.parallelize import compute_type
from altiplano.planning.model_size import training_flops_per_token
from altiplano.planning.stacks import load_chip
from altiplano.records import StepMetrics
from altiplano.training.callbacks import Callback, TrainingRun
from altiplano.training.job import Job
from altiplano.training.metrics import memory_bytes

MOMENTS, SECONDS = 3, 0.1
BUSY = 0.85
"""Below this share of the processor the rest of it is somebody else's."""

CHIPS = {
    "NVIDIA A100-SXM4-40GB": "a100-40gb",
    "NVIDIA A100-SXM4-80GB": "a100",
    "NVIDIA B200": "b200",
    "NVIDIA GB200": "gb200",
    "NVIDIA GB300": "gb300",
    "NVIDIA H100 80GB HBM3": "h100",
    "NVIDIA H200": "h200",
}
"""PyTorch's names of devices whose datasheet the planner knows."""


class Peak:
    """FLOP/s of all devices together. All processes make one; the first knows it best.

    On GPUs the datasheet's figure where it is known. A processor has none: its own best matrix product by the way in
    use, of several moments, as others may use it, too.
    """

    def __init__(self, mesh: Mesh, dtype: torch.dtype):
        self.device, self.dtype = mesh.device, dtype
        self.devices = dist.get_world_size() if mesh.device.type == "cuda" else 1
        self.datasheet = datasheet_peak(mesh.device, dtype)
        self.busy = False
        self.measured = 0.0
        if mesh.device.type == "cuda" or dist.get_rank() == 0:
            self._measure()
        dist.barrier()  # ranks on a processor share it: the others wait

    @property
    def flops(self) -> float:
        """Of all devices together."""
        return self.devices * (self.datasheet or self.measured)

    def mfu(self, flops: float) -> float:
        """Share of the peak that ``flops`` a second are; the peak is measured anew when it is beaten."""
        if flops > self.flops and not self.datasheet and dist.get_rank() == 0:
            self._measure()
            self.measured = max(self.measured, flops / self.devices)
        return flops / self.flops if self.flops else math.nan

    def _measure(self) -> None:
        """Ranks on a processor share it, so one measures with every core."""
        threads = torch.get_num_threads()
        cores = _cores() if self.device.type == "cpu" else threads
        torch.set_num_threads(cores)
        worked, begun = time.process_time(), time.perf_counter()
        for _ in range(MOMENTS):
            self.measured = max(self.measured, matmul_peak(self.device, self.dtype, SECONDS))
        share = (time.process_time() - worked) / (time.perf_counter() - begun) / cores
        torch.set_num_threads(threads)
        self.busy = self.device.type == "cpu" and share < BUSY
        if self.busy:
            print(
                f"warning: this machine is busy with other work ({share:.0%} of its processor was free); "
                "training is slower than it could be, and MFU is a share of what was measured now",
                file=sys.stderr,
            )

    def record(self) -> dict[str, Any]:
        """What ``run.json`` says, of one device."""
        return {
            "matmul_peak_flops": self.flops / self.devices,
            "matmul_measured_flops": self.measured,
            "matmul_peak_source": "datasheet" if self.datasheet else "measured",
            "busy": self.busy,
        }


class MeasureThroughput(Callback):
    """Tokens per second, MFU and memory of every step."""

    def __init__(self, mesh: Mesh, job: Job):
        recipe = job.recipe
        self.peak = Peak(mesh, compute_type(recipe))
        self.flops_per_token = training_flops_per_token(recipe.model, recipe.batch.sequence_length)

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        batch = run.job.recipe.batch
        speed = len(batch.samples(run.step - 1)) * batch.sequence_length / metrics.seconds
        metrics.tokens_per_second = speed
        metrics.mfu = self.peak.mfu(speed * self.flops_per_token)
        metrics.memory_bytes = memory_bytes(run.mesh.device)
        if run.mesh.device.type == "cuda":
            metrics.reserved_bytes = torch.cuda.max_memory_reserved()
            metrics.allocation_retries = torch.cuda.memory_stats().get("num_alloc_retries", 0)

    def on_train_end(self, run: TrainingRun) -> None:
        run.results["peak"] = self.peak.record()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def datasheet_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Published FLOP/s of ``device`` without sparsity; 0 where it is not known."""
    if device.type != "cuda" or dtype is not torch.bfloat16:
        return 0.0
    chip = CHIPS.get(torch.cuda.get_device_name(device))
    return load_chip(chip).peak("bf16") if chip else 0.0


def matmul_peak(device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    """FLOP/s of a large square matrix product on one device, the best of several."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end or not best:
        start = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best
