"""A slow rank slows all: every rank times the same small piece of work, and the times are compared.

Steps themselves cannot tell: ranks wait for one another in every one. A fixed matrix product shows a slow device, and
the wait for data a slow disk.
"""

import sys
import time
from statistics import median

import torch
import torch.distributed as dist

from altiplano.records import StepMetrics
from altiplano.training.callbacks import Callback, TrainingRun
from altiplano.training.resilience import incidents

SIZE, TIMES = 384, 10
GPU_SIZE, GPU_PRODUCTS = 4096, 5
"""On a GPU, in bfloat16: a product of 384 takes less there than its launch, which tells of the processor."""
IN_A_ROW = 2
LEAST_WAIT = 0.1  # seconds; below this no wait for data is worth a warning


class SlowRanks:
    """Flags ranks that were slower than ``ratio`` times the median in ``IN_A_ROW`` comparisons."""

    def __init__(self, device: torch.device, ratio: float):
        self.ratio = ratio
        size, self.products, dtype = SIZE, 1, torch.float32
        if device.type == "cuda":
            size, self.products, dtype = GPU_SIZE, GPU_PRODUCTS, torch.bfloat16
        self.probe = torch.randn(size, size, device=device, dtype=dtype)
        self.counts: dict[int, int] = {}
        self.waited: list[float] = []

    def note_wait(self, seconds: float) -> None:
        """Time that this rank waited for the data of a step."""
        self.waited.append(seconds)

    def compare(self) -> dict[int, str]:
        """On all processes together: which ranks are slow, and in what."""
        mine = torch.tensor(
            [self._work(), median(self.waited) if self.waited else 0.0], dtype=torch.float64, device=self.probe.device
        )
        self.waited = []
        all_times = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(all_times, mine)
        table = torch.stack(all_times).cpu()
        slow: dict[int, str] = {}
        for column, what, least in ((0, "computing", 0.0), (1, "waiting for data", LEAST_WAIT)):
            values = table[:, column].tolist()
            for rank, value in enumerate(values):
                others = median(values[:rank] + values[rank + 1 :] or [value])
                if value > self.ratio * others and value > least:
                    slow[rank] = f"{what} takes {value / max(others, 1e-9):.1f} times as long as on the others"
        self.counts = {rank: self.counts.get(rank, 0) + 1 for rank in slow}
        return {rank: why for rank, why in slow.items() if self.counts[rank] >= IN_A_ROW}

    def _work(self) -> float:
        """Seconds of the probe; many short pieces, so that a rank that is stopped now and then shows."""
        begun = time.perf_counter()
        for _ in range(TIMES):
            for _ in range(self.products):
                product = self.probe @ self.probe
            float(product[0, 0])  # reading a number waits for the device
        return time.perf_counter() - begun


class ReportSlowRanks(Callback):
    """Warns every ``recovery.check_speed_every`` steps of ranks that slow down all others."""

    def on_train_begin(self, run: TrainingRun) -> None:
        self.ranks = SlowRanks(run.mesh.device, run.job.recipe.recovery.slow_ratio)

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        self.ranks.note_wait(metrics.data_seconds)
        every = run.job.recipe.recovery.check_speed_every
        if not every or run.step % every:
            return
        for rank, why in self.ranks.compare().items():
            if run.is_writer:
                print(f"warning: rank {rank} is slow: {why}", file=sys.stderr)
                what = f"rank {rank}: {why}"
                incidents.record(run.job.folder, "slow", what, "warned", rank=rank, step=run.step)
