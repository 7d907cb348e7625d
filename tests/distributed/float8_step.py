"""One gradient in float8 on a layout beside one process in float8, and that beside one in bfloat16.

``python -m distributed.float8_step tp2`` prints relative differences of all gradients together; exits with 1 where the
layout moves them by more than float8 itself does.
"""

import os
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.parallel.processes import fork_ranks
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.training.loss import token_losses
from distributed.twenty_steps import MODEL, batches, take, whole

SIZES = ["model.hidden_size=128", "model.intermediate_size=128"]


def gradient(text: str, matmul: str, folder: Path) -> dict[str, Tensor]:
    layout = parse_layout(text)

    def work() -> int:
        torch.set_num_threads(1)
        recipe = load_recipe("quickstart", [*MODEL, *SIZES, f"precision.matmul={matmul}"])
        mesh = start_mesh(layout, "cpu")
        model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
        batch = next(batches("regular", 1))
        rows = len(batch.tokens)
        model.step(take(batch, layout.share(range(rows), mesh.rank("dp"))), rows, batch.valid)
        found = {name: whole(one.grad) for name, one in parameters_by_name(model.parts).items() if one.grad is not None}
        if all(mesh.rank(name) == 0 for name in ("dp", "cp", "tp")):
            torch.save(found, folder / f"{text}.{matmul}.{mesh.rank('pp')}")
        return 0

    if fork_ranks(layout.world_size, work):
        sys.exit(f"a rank of {text} failed")
    parts = [torch.load(folder / f"{text}.{matmul}.{rank}") for rank in range(layout.pp)]
    return {name: value for part in parts for name, value in part.items()}


def apart(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    assert a.keys() == b.keys()
    squares = sum(float((a[name] - b[name]).norm() ** 2) for name in b), sum(float(x.norm() ** 2) for x in b.values())
    return (squares[0] / squares[1]) ** 0.5


def main() -> int:
    os.environ["ALTIPLANO_BFLOAT16"] = "float32"  # as on every processor
    with tempfile.TemporaryDirectory() as name:
        plain, alone, spread = (
            gradient(layout, matmul, Path(name))
            for layout, matmul in (("dp1", "compute"), ("dp1", "float8-rowwise"), (sys.argv[1], "float8-rowwise"))
        )
    own, moved = apart(alone, plain), apart(spread, alone)
    print(f"float8 to bfloat16 {own:.1e}, {sys.argv[1]} to one process {moved:.1e}")
    return 0 if 0 < moved < own else 1


if __name__ == "__main__":
    sys.exit(main())
