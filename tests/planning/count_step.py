"""Counts what one step of the real training code sends. Run by test_counts.py.

``python count_step.py LAYOUT KEY=VALUE…`` prints a line of JSON for the first rank of each pipeline stage: number, the
parameters that it holds, and [kind, group, bytes, count] of each collective. Without a pipeline one process with a
fake process group is enough; pipelines exchange shapes first, so their ranks are forked and talk through gloo.
"""

import collections
import json
import os
import sys
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from altiplano.parallel.local import fork_ranks
from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.spread import parameters_by_name, spread_model
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.tokens.loader import make_batch
from altiplano.training.loss import token_losses

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


class Counter(TorchDispatchMode):
    """``groups``: by the name of a process group, what it is called and how many ranks it has."""

    def __init__(self, groups: dict[str, tuple[str, int]]):
        super().__init__()
        self.groups, self.found = groups, collections.Counter[tuple[str, str, int]]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        namespace, _, name = str(function).partition(".")
        kind = KINDS.get(name.split(".")[0])
        if namespace in ("c10d", "_c10d_functional") and kind is not None:
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


def count(recipe: Recipe, layout: Layout) -> int:
    mesh = start_mesh(layout, "cpu")
    model = spread_model(recipe, layout, mesh, token_losses(mesh.group("tp")))
    groups = {mesh.group(name).group_name: (name, mesh.group(name).size()) for name in ("tp", "cp", "pp")}
    for name in ("shards", "replicas"):
        group = mesh.weights.get_group(name)
        groups[group.group_name] = groups.get(group.group_name, (name, group.size()))
    rows = recipe.batch.sequences // layout.dp
    windows = torch.randint(1, recipe.model.vocabulary, (rows, recipe.batch.sequence_length + 1))
    batch = make_batch(windows.numpy(), 0)
    model.step(batch, recipe.batch.sequences, 100)  # the first one exchanges shapes
    parameters = parameters_by_name(model.parts)
    for one in parameters.values():
        one.grad = None
    counter = Counter(groups)
    with counter:
        model.step(batch, recipe.batch.sequences, 100)
    if all(mesh.rank(name) == 0 for name in ("dp", "cp", "tp")):
        held = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in parameters.values())
        found = [[*key, times] for key, times in sorted(counter.found.items())]
        print(json.dumps({"rank": mesh.rank("pp"), "parameters": held, "collectives": found}), flush=True)
    return 0


def main() -> None:
    layout, recipe = parse_layout(sys.argv[1]), load_recipe("quickstart", sys.argv[2:])
    if layout.pp > 1:
        sys.exit(fork_ranks(layout.world_size, lambda: count(recipe, layout)))
    os.environ.update(WORLD_SIZE=str(layout.world_size), RANK="0", LOCAL_RANK="0")
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=layout.world_size)
    count(recipe, layout)
    os._exit(0)


if __name__ == "__main__":
    main()
