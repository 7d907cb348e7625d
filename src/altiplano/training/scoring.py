"""A checkpoint's weights over the processes of a layout, to be asked: what training ran on scores what it trained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist

from altiplano.inference.mesh_model import MeshModel
from altiplano.parallel.asking import AskedModel
from altiplano.parallel.mesh import Mesh, start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints.loading import load_sharded
from altiplano.training.loss import token_losses


@contextmanager
def over_mesh(
    recipe: Recipe,
    layout: Layout,
    device: str,
    checkpoints: Sequence[Path],
    tokenizer: Tokenizer,
    temperature: float = 1.0,
) -> Iterator[MeshModel | None]:
    """The model, of several checkpoints their mean, on the first of torchrun's processes, which all call this. The
    others get None, when the first one is through with it: until then they computed with it.

    Weights are as in training: multiplied in the recipe's precision, each process with its own part of them.
    """
    asked = spread(recipe, layout, start_mesh(layout, device), checkpoints)
    if dist.get_rank() > 0:
        asked.follow()
        yield None
        return
    with asked.asking():
        yield MeshModel(recipe.name, asked, tokenizer, temperature)


def spread(recipe: Recipe, layout: Layout, mesh: Mesh, checkpoints: Sequence[Path]) -> AskedModel:
    """This process's part of the model, with the weights of a checkpoint or the mean of several."""
    # nothing is differentiated: no activation is kept, and a compiled block would not pay; logits are read themselves
    plain = layout.model_copy(
        update={"recompute": "none", "compile": False, "async_tp": False, "flash": False, "head_chunks": 1}
    )
    model = parallelize(recipe, plain, mesh, token_losses(mesh.group("tp")), initial=False)
    load_sharded(checkpoints, parameters_by_name(model.parts))
    return AskedModel(model, recipe.model)
