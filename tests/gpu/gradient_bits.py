"""Fourteen steps of a small model on the GPU; a JSON line with a digest of every batch, weight and gradient.

python -m gpu.gradient_bits TOKENS FOLDER
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from small import SMALL
from torch.distributed.tensor import DTensor

from altiplano.parallel.mesh import start_mesh
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training import trainer as training
from altiplano.training.job import Job
from altiplano.training.optimizer import clip_gradient

STEPS = 14


def digest(tensor: torch.Tensor) -> str:
    local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return hashlib.sha256(local.detach().cpu().numpy().tobytes()).hexdigest()[:12]


def main() -> None:
    tokens, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True)
    recipe = load_recipe("quickstart", [*SMALL, "batch.total_tokens=20480", "precision.compute=bfloat16"])
    job = Job(recipe=recipe, layout=parse_layout("dp1"), device="cuda", tokens=tokens, folder=folder)
    trainer = training.prepare(job, start_mesh(job.layout, "cuda"), Tokenizer.load(tokens / "tokenizer").bos)
    found: dict[str, str] = {}

    def recorded(*arguments: Any) -> torch.Tensor:
        for name, parameter in trainer.parameters.items():
            found[f"gradient of {name} in step {trainer.done + 1}"] = digest(parameter.grad)  # type: ignore[arg-type]
        return clip_gradient(*arguments)

    mock.patch.object(training, "clip_gradient", recorded).start()
    for step in range(1, STEPS + 1):
        for name, parameter in trainer.parameters.items():
            found[f"{name} before step {step}"] = digest(parameter)
        batch = trainer.batch()
        found[f"tokens of step {step}"] = digest(batch.tokens)
        found[f"loss of step {step}"] = trainer.step(batch).loss.hex()
    print(json.dumps(found), flush=True)
    os._exit(0)  # process groups sometimes abort while an interpreter shuts down


if __name__ == "__main__":
    main()
