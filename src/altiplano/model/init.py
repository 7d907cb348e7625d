"""Initial weights that depend only on the seed and a parameter's name, never on how the model is spread."""

import hashlib
import math

import torch
from torch import Tensor

from altiplano.recipe.schema import Model


def initial_value(name: str, size: torch.Size, shape: Model, seed: int) -> Tensor:
    """The whole parameter ``name`` in float32: ones for norms, else normal with ``init_std``.

    Projections that write to the residual stream are scaled by 1/sqrt(2 · layers) (Radford et al. 2019).
    """
    if name.endswith("norm.weight"):
        return torch.ones(size)
    key = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)
    residual = name.endswith(("o_proj.weight", "down_proj.weight"))
    std = shape.init_std / math.sqrt(2 * shape.layers) if residual else shape.init_std
    return torch.randn(size, generator=generator) * std
