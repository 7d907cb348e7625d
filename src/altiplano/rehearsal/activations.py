"""Bytes that autograd keeps for the backward pass, and their peak; memory that tensors share counts once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper
from torch.distributed.tensor import DTensor

from altiplano.model.llama import Llama
from altiplano.model.norm import RMSNorm


def storage_of(tensor: Tensor) -> torch.UntypedStorage:
    """Of this rank's part of a tensor that may be spread, or still under way."""
    while True:
        if isinstance(tensor, DTensor):
            tensor = tensor._local_tensor
        elif isinstance(tensor, AsyncCollectiveTensor):
            tensor = tensor.elem
        else:
            return tensor.untyped_storage()


class Kept:
    """A saved tensor; when autograd lets go of it, so does the count.

    Detached: an operation that keeps its own output would otherwise hold itself where a graph is not used up (zbv).
    """

    def __init__(self, tensor: Tensor, keeper: "Keeper"):
        self.tensor, self.keeper, self.key = tensor.detach(), keeper, storage_of(tensor)._cdata
        keeper.add(self.key, storage_of(tensor).nbytes())

    def __del__(self) -> None:
        self.keeper.drop(self.key)


class Keeper:
    """``live`` and ``peak`` in bytes. Weights, which are there anyway, do not count."""

    def __init__(self) -> None:
        self.weights: set[int] = set()
        self.users: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.norms: dict[nn.Module, Any] = {}
        self.live = self.peak = 0

    def add(self, key: int, size: int) -> None:
        if key not in self.users:
            self.sizes[key] = size
            self.live += size
            self.peak = max(self.peak, self.live)
        self.users[key] = self.users.get(key, 0) + 1

    def drop(self, key: int) -> None:
        self.users[key] -= 1
        if not self.users[key]:
            del self.users[key]
            self.live -= self.sizes.pop(key)

    def pack(self, tensor: Tensor) -> Any:
        return tensor if storage_of(tensor)._cdata in self.weights else Kept(tensor, self)

    def remember_weights(self, module: nn.Module, _arguments: Any) -> None:
        """Before a module runs its weights are the gathered ones, which are other tensors than the shards."""
        self.weights.update(storage_of(one)._cdata for one in module.parameters(recurse=False))

    def enter_norm(self, norm: nn.Module, arguments: Any) -> None:
        """A GPU's fused norm keeps its input; the CPU's, made of several operations, would keep float32 copies."""
        inputs = [Kept(arguments[0], self)]
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: (tensor.detach(), inputs.pop() if inputs else None), lambda pair: pair[0]
        )
        hooks.__enter__()
        self.norms[norm] = hooks

    def leave_norm(self, norm: nn.Module, _arguments: Any, _output: Any) -> None:
        self.norms.pop(norm).__exit__(None, None, None)

    @contextmanager
    def watching(self, parts: list[Llama]) -> Iterator[None]:
        modules = [module for part in parts for module in part.modules() if [*module.parameters(recurse=False)]]
        handles = [module.register_forward_pre_hook(self.remember_weights) for module in modules]
        # Blocks that are computed again keep nothing of their norms, and have hooks of their own.
        for norm in (module for part in parts for module in norms_outside_recomputation(part)):
            handles += [norm.register_forward_pre_hook(self.enter_norm), norm.register_forward_hook(self.leave_norm)]
        with torch.autograd.graph.saved_tensors_hooks(self.pack, unpack):
            yield
        for handle in handles:
            handle.remove()


def norms_outside_recomputation(module: nn.Module) -> Iterator[RMSNorm]:
    if isinstance(module, RMSNorm):
        yield module
    elif not isinstance(module, CheckpointWrapper):
        for child in module.children():
            yield from norms_outside_recomputation(child)


def unpack(kept: Any) -> Tensor:
    return kept.tensor if isinstance(kept, Kept) else kept
