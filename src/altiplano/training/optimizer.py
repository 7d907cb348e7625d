"""AdamW and the learning-rate schedule.

Gradient clipping by the norm of the whole model's gradient, whatever the layout.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from altiplano.parallel.mesh import Mesh
from altiplano.recipe.schema import OptimizerConfig

LearningRateSchedule = Callable[[int, int, OptimizerConfig], float]
"""Of a step (from 0), the number of steps and the recipe's section to a learning rate."""


def make_optimizer(parameters: Mapping[str, nn.Parameter], settings: OptimizerConfig) -> torch.optim.AdamW:
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


def learning_rate(step: int, steps: int, settings: OptimizerConfig) -> float:
    """Learning rate of step 0 … steps - 1: linear warm-up to the peak, then half a cosine, or a line, down to the
    minimum, which the last step has."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, steps - 1 - settings.warmup_steps)
    above = 1 - progress if settings.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return settings.min_learning_rate + (settings.learning_rate - settings.min_learning_rate) * above


# The norm is one number: reducing it over dp and then tp costs nothing that is worth a warning per run.
logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)


@torch.no_grad()
def clip_gradient(parameters: Iterable[nn.Parameter], limit: float, mesh: Mesh) -> Tensor:
    """Scale all gradients so that their global 2-norm is at most ``limit``; return the norm before.

    Shards count once: DTensor's norm reduces over dp and tp, and pipeline stages hold different parameters.
    """
    parameters = list(parameters)
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], 2.0, foreach=True)
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    norm = mesh.sum(norm**2, "pp") ** 0.5
    torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm, foreach=True)
    return norm
