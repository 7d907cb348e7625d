"""AdamW and the learning-rate schedule."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from altiplano.recipe.schema import Optimizer


def make_optimizer(parameters: Mapping[str, nn.Parameter], settings: Optimizer) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) with decay on matrices only; its state has the parameters' precision."""
    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        fused=True,
    )


def learning_rate(step: int, steps: int, settings: Optimizer) -> float:
    """Learning rate of step 0 … steps - 1: linear warm-up to the peak, then half a cosine down to the minimum."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, steps - 1 - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return settings.min_learning_rate + (settings.learning_rate - settings.min_learning_rate) * cosine
