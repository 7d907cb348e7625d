"""Copies of a training's state in host memory, which a checkpoint is written of while training goes on.

The memory is taken at the first save and kept: fresh memory costs a page fault for every 4 KiB at every save. From a
GPU it is pinned, as a copy to other memory goes through a small buffer of the driver's at a fraction of the bus's
speed. PyTorch rounds each pinned tensor up to a power of two.
"""

import sys
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor


class HostCopies:
    """One set: what is written of it must be written before it is taken again."""

    def __init__(self, tensors: Mapping[str, Tensor]):
        self.tensors = tensors
        self.copies: dict[str, Tensor] = {}
        self.pins = True

    @torch.no_grad()
    def take(self) -> dict[str, Tensor]:
        """The state as it is now; waits until it is copied."""
        for name, tensor in self.tensors.items():
            if name not in self.copies:
                self.copies[name] = self._empty(tensor)
            _local(self.copies[name]).copy_(_local(tensor))
        return self.copies

    def _empty(self, tensor: Tensor) -> Tensor:
        if tensor.is_cuda and self.pins:
            try:
                return torch.empty_like(tensor, device="cpu", pin_memory=True)
            except RuntimeError as error:  # more than the system lets a process lock, or has
                self.pins = False
                print(f"warning: checkpoints are copied to memory that is not pinned: {error}", file=sys.stderr)
        return torch.empty_like(tensor, device="cpu")


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
