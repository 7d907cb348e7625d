"""float8 products of the blocks' linear layers, by torchao, applied from outside the model.

Each row of the inputs, weights and gradients is divided by its largest value and rounded to e4m3 (4 bits of exponent, 3
of mantissa); products are added up in float32 and rounded to bfloat16. Parameters stay what they were, float32 masters
gathered in bfloat16, so that checkpoints, export and evaluation know nothing of it. The embedding and the head, where
rounding tells most, are multiplied in bfloat16. A CPU emulates the products: the same roundings, at no gain in time.
"""

import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from altiplano.errors import InputError
from altiplano.model.llama import Llama

CAPABILITY = (8, 9)
"""Of NVIDIA's GPUs with units for float8: Ada, Hopper and later."""
KEY = 'precision.matmul = "float8-rowwise"'


def use_float8(model: Llama, device: torch.device) -> None:
    """Let the linear layers of every block multiply in float8.

    Raises InputError where torchao is missing or the GPU has no units for it.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < CAPABILITY:
        major, minor = torch.cuda.get_device_capability(device)
        raise InputError(
            f"{KEY} needs a GPU of compute capability 8.9 or more (Ada, Hopper, Blackwell); "
            f"{torch.cuda.get_device_name(device)} has {major}.{minor}; leave precision.matmul out"
        )
    float8 = _torchao()
    config = replace(float8.Float8LinearConfig.from_recipe_name("rowwise"), emulate=device.type != "cuda")
    float8.convert_to_float8_training(model.layers, config=config)


def in_float8(model: nn.Module) -> bool:
    return any(_is_float8(module) for module in model.modules())


@contextmanager
def in_bfloat16(models: Iterable[nn.Module]) -> Iterator[None]:
    """The same models with products in bfloat16, to tell what float8 changes."""
    layers = [module for model in models for module in model.modules() if _is_float8(module)]
    try:
        for layer in layers:
            layer.forward = partial(nn.Linear.forward, cast(nn.Linear, layer))
        yield
    finally:
        for layer in layers:
            del layer.forward


def _is_float8(module: nn.Module) -> bool:
    return type(module).__name__ == "Float8Linear"  # torchao need not be there


def _torchao() -> Any:
    """Without its compiled extensions, which training in float8 does not use, and without what it says when they are of
    another version of PyTorch."""
    os.environ.setdefault("TORCHAO_FORCE_SKIP_LOADING_SO_FILES", "1")
    said = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchao.float8
    except ImportError as error:
        raise InputError(f"{KEY} needs torchao: pip install 'altiplano[float8]' ({error})") from None
    finally:
        logging.disable(said)
    return torchao.float8
