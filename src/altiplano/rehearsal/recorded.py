"""Bytes that autograd keeps for the backward pass, and their peak; memory that tensors share counts once.

What a step sends, as it sends it: every collective that reaches PyTorch's dispatcher.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper
from torch.distributed.tensor import DTensor
from torch.utils import checkpoint
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from altiplano.model.llama import Llama, RMSNorm
from altiplano.parallel.mesh import Mesh


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
        with torch.autograd.graph.saved_tensors_hooks(self.pack, unpack), self._kept_by_selective_recomputation():
            yield
        for handle in handles:
            handle.remove()

    @contextmanager
    def _kept_by_selective_recomputation(self) -> Iterator[None]:
        """It keeps tensors without telling autograd's hooks, in wrappers of its own."""
        module: Any = checkpoint
        keeper, wrapper = self, module._VersionWrapper

        class Counted(wrapper):  # type: ignore[misc, valid-type]
            def __init__(self, value: Any):
                super().__init__(value)
                self.kept = Kept(value, keeper) if isinstance(value, Tensor) else None

        module._VersionWrapper = Counted
        try:
            yield
        finally:
            module._VersionWrapper = wrapper


def norms_outside_recomputation(module: nn.Module) -> Iterator[RMSNorm]:
    if isinstance(module, RMSNorm):
        yield module
    elif not isinstance(module, CheckpointWrapper):
        for child in module.children():
            yield from norms_outside_recomputation(child)


def unpack(kept: Any) -> Tensor:
    return kept.tensor if isinstance(kept, Kept) else kept


KINDS = {
    "_allgather_base_": "all_gather",
    "_reduce_scatter_base_": "reduce_scatter",
    "allreduce_": "all_reduce",
    "all_gather_into_tensor": "all_gather",
    "reduce_scatter_tensor": "reduce_scatter",
    "all_reduce": "all_reduce",
    "send": "send",
    "recv_": "receive",
}


class SentCounter(TorchDispatchMode):
    """While it is entered, ``found`` counts collectives by kind, group and bytes of the whole tensor."""

    def __init__(self, mesh: Mesh):
        super().__init__()
        self.groups = group_names(mesh)
        self.found: Counter[tuple[str, str, int]] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # it says first what it does with its parts, which may be to send them
        namespace, _, name = str(function).partition(".")
        if namespace in ("c10d", "_c10d_functional") and (kind := KINDS.get(name.split(".")[0])) is not None:
            sizes = [leaf.numel() * leaf.element_size() for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)]
            group, ranks = self.groups[self._group(args)]
            # The functional gather is given its share.
            whole = max(sizes) * (ranks if namespace == "_c10d_functional" and kind == "all_gather" else 1)
            self.found[kind, group, whole] += 1
        return function(*args, **(kwargs or {}))

    def _group(self, args: Any) -> str:
        for one in args:
            if isinstance(one, str) and one in self.groups:
                return one
            if isinstance(one, torch.ScriptObject):
                try:
                    return str(dist.ProcessGroup.unbox(one).group_name)
                except RuntimeError:
                    continue
        raise LookupError("a collective without a group")


def group_names(mesh: Mesh) -> dict[str, tuple[str, int]]:
    """By PyTorch's name of a process group: the planner's name for it, and how many ranks it has."""
    groups = {str(mesh.group(name).group_name): (name, mesh.group(name).size()) for name in ("tp", "cp", "pp")}
    for name in ("shards", "replicas"):
        group = mesh.weights.get_group(name)
        groups.setdefault(str(group.group_name), (name, group.size()))
    return groups
