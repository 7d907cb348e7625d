"""Attention by the kernels of FlashAttention 4 (Dao-AILab's package ``flash-attn-4``) on Hopper and later GPUs.

PyTorch's FlexAttention calls them in the place of its own Triton kernels, with the same masks of documents and of
context-parallel ranks.
"""

from importlib import import_module

import torch

from altiplano.errors import InputError
from altiplano.model import attention

CAPABILITY = (9, 0)


def use_flash_attention(wanted: bool, device: torch.device) -> None:
    """In this whole process. Raises InputError where the package is missing or broken, and where the GPU is."""
    if wanted and device.type != "cuda":
        raise InputError("flash in a layout needs an NVIDIA GPU; leave it out")
    if wanted and torch.cuda.get_device_capability(device) < CAPABILITY:
        name = torch.cuda.get_device_name(device)
        raise InputError(f"flash in a layout needs a GPU like the H100 or later, and {name} is older; leave it out")
    if wanted:
        _check_installed()
    attention.flash_attention = wanted


def _check_installed() -> None:
    try:
        import_module("flash_attn.cute")
    except ImportError as error:  # of the package, or of what it needs itself
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"flash in a layout needs FlashAttention 4, which cannot be imported ({reason}): "
            "pip install 'altiplano[flash]', or leave it out"
        ) from error
