"""Fourteen steps of a small training job on the GPU; a JSON line with a digest of every batch, weight and gradient.

    python -m gpu.gradient_bits TOKENS FOLDER BYTE [OVERRIDE …]

Before every step all memory that PyTorch holds for later use is filled with BYTE (255 makes it NaN): a kernel that
reads what nobody wrote computes something else then.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from small import SMALL
from torch import Tensor
from torch.distributed.tensor import DTensor
from trainings import write_job

from altiplano.records import StepMetrics
from altiplano.tokens.loader import Batch
from altiplano.training import trainer as training
from altiplano.training.job import Job
from altiplano.training.optimizer import clip_gradient
from altiplano.training.worker import run_job

STEPS = 14
RECIPE = [
    *SMALL,
    "batch.total_tokens=20480",  # 20 steps
    "precision.compute=bfloat16",
    "checkpoint.interval_steps=20",
    "checkpoint.rolling_steps=5",
    "recovery.check_weights_every=1",
    "recovery.check_speed_every=4",
]


def digest(tensor: Tensor) -> Tensor:
    """A number that depends on every byte and its place; it stays on the device, so that nobody waits for it."""
    local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    raw = local.detach().contiguous().flatten().view(torch.uint8).long()
    return (raw * torch.arange(1, len(raw) + 1, device=raw.device)).sum()


def fill_free_memory(byte: int) -> None:
    stream = torch.cuda.current_stream().cuda_stream
    segments = [segment for segment in torch.cuda.memory_snapshot() if segment["stream"] == stream]
    sizes = [block["size"] for segment in segments for block in segment["blocks"] if block["state"] == "inactive"]
    held = [torch.empty(size, dtype=torch.uint8, device="cuda").fill_(byte) for size in sorted(sizes, reverse=True)]
    del held


def record(trainer: type[training.Trainer], byte: int) -> dict[str, Any]:
    """What is computed from now on, in the order of computation."""
    found: dict[str, Any] = {}
    take_step, at_work = trainer.step, []

    def step(self: Any, batch: Batch, *arguments: Any) -> StepMetrics:
        if torch.cuda.is_available():
            fill_free_memory(byte)
        at_work[:] = [self]
        for name, parameter in self.parameters.items():
            found[f"{name} before step {self.done + 1}"] = digest(parameter)
        found[f"tokens of step {self.done + 1}"] = digest(batch.tokens)
        metrics = take_step(self, batch, *arguments)
        found[f"loss of step {metrics.step}"] = metrics.loss.hex()
        return metrics

    def clip(*arguments: Any) -> Tensor:
        for name, parameter in at_work[0].parameters.items():
            found[f"gradient of {name} in step {at_work[0].done + 1}"] = digest(parameter.grad)
        return clip_gradient(*arguments)

    mock.patch.object(trainer, "step", step).start()
    mock.patch.object(training, "clip_gradient", clip).start()
    return found


def main() -> None:
    tokens, folder, byte = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    written = write_job(folder, tokens, "dp1", [*RECIPE, *sys.argv[4:]], device, stop_after=STEPS)
    job = Job.model_validate_json(written.read_bytes())
    found = record(training.Trainer, byte)
    run_job(job)
    print(json.dumps({name: int(v) if isinstance(v, Tensor) else v for name, v in found.items()}), flush=True)
    os._exit(0)  # process groups sometimes abort while an interpreter shuts down


if __name__ == "__main__":
    main()
