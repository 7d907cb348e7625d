"""Counts what one step of the real training code sends. Run by test_counts.py.

``python count_step.py LAYOUT KEY=VALUE…`` prints a line of JSON for the first rank of each pipeline stage: number, the
parameters that it holds, and [kind, group, bytes, count] of each collective. Without a pipeline one process with a
fake process group is enough; pipelines exchange shapes first, so their ranks are forked and talk through gloo.
"""

import json
import os
import sys

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.parallel.processes import fork_ranks
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.rehearsal.recorded import SentCounter
from altiplano.tokens.loader import make_batch
from altiplano.training.loss import token_losses


def count(recipe: Recipe, layout: Layout) -> int:
    mesh = start_mesh(layout, "cpu")
    model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
    rows = recipe.batch.sequences // layout.dp
    windows = torch.randint(1, recipe.model.vocab_size, (rows, recipe.batch.sequence_length + 1))
    batch = make_batch(windows.numpy(), 0)
    model.step(batch, recipe.batch.sequences, 100)  # the first one exchanges shapes
    parameters = parameters_by_name(model.parts)
    for one in parameters.values():
        one.grad = None
    counter = SentCounter(mesh)
    with counter:
        model.step(batch, recipe.batch.sequences, 100)
    if all(mesh.rank(name) == 0 for name in ("dp", "cp", "tp")):
        held = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in parameters.values())
        found = [[*key, times] for key, times in sorted(counter.found.items())]
        print(json.dumps({"rank": mesh.rank("pp"), "parameters": held, "collectives": found}), flush=True)
    return 0


def main() -> int:
    layout, recipe = parse_layout(sys.argv[1]), load_recipe("quickstart", sys.argv[2:])
    if layout.pp > 1:
        return fork_ranks(layout.world_size, lambda: count(recipe, layout))
    os.environ.update(WORLD_SIZE=str(layout.world_size), RANK="0", LOCAL_RANK="0")
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=layout.world_size)
    return count(recipe, layout)


if __name__ == "__main__":
    sys.exit(main())
