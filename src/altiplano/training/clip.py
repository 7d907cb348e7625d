"""Gradient clipping by the norm of the whole model's gradient, whatever the layout."""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from altiplano.parallel.mesh import Mesh

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
