"""Gradient clipping by the norm of the whole model's gradient, whatever the layout."""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Partial

from altiplano.parallel.mesh import Mesh

# The norm is one number: reducing it over dp and then tp costs nothing that is worth a warning per run.
logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)


@torch.no_grad()
def clip_gradient(parameters: Iterable[nn.Parameter], limit: float, mesh: Mesh) -> Tensor:
    """Scale all gradients so that their global 2-norm is at most ``limit``; return the norm before.

    Shards count once: DTensor's norm reduces over dp and tp, and pipeline stages hold different parameters.
    """
    parameters = list(parameters)
    for parameter in parameters:
        add_up(parameter)
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], 2.0, foreach=True)
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    norm = mesh.sum(norm**2, "pp") ** 0.5
    torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm, foreach=True)
    return norm


def add_up(parameter: nn.Parameter) -> None:
    """Weights that all tensor-parallel ranks hold get a part of their gradient from each. AdamW of PyTorch 2.11 would
    take a part for the whole; later ones would add the parts up for the norm and again for each moment."""
    gradient = parameter.grad
    if isinstance(gradient, DTensor) and any(isinstance(one, Partial) for one in gradient.placements):
        assert isinstance(parameter.data, DTensor)
        parameter.grad = gradient.redistribute(placements=parameter.data.placements)
