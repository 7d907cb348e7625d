"""What a step sends, as it sends it: every collective that reaches PyTorch's dispatcher."""

from collections import Counter
from typing import Any

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from altiplano.parallel.mesh import Mesh

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
