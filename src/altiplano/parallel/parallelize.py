"""A model parallelized over the mesh, in one visible order:
cut → float8 → tensors → context → recomputation → compilation → data → weights → pipeline."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from altiplano.model.initial_weights import initial_value
from altiplano.model.llama import Llama
from altiplano.model.weights import pretrained_weights
from altiplano.parallel.bfloat16 import choose_products, set_attention
from altiplano.parallel.compilation import choose_kernels_by_rule, compile_blocks, overlap_tensor_communication
from altiplano.parallel.context import context_shard, split_context
from altiplano.parallel.data import shard_data
from altiplano.parallel.flash_attention import use_flash_attention
from altiplano.parallel.float8 import use_float8
from altiplano.parallel.head import HeadLosses
from altiplano.parallel.mesh import Mesh
from altiplano.parallel.pipeline import ParallelModel
from altiplano.parallel.recomputation import WRAPPER, recompute_blocks
from altiplano.parallel.tensor import split_tensors
from altiplano.recipe.layout import Layout, partition_layers
from altiplano.recipe.schema import Recipe


def parallelize(
    recipe: Recipe, layout: Layout, mesh: Mesh, losses: HeadLosses, *, initial: bool = True
) -> ParallelModel:
    """This process's parts of the recipe's model, one for each of its pipeline stages, with their initial weights; with
    anything in them unless ``initial``, for weights that come from elsewhere."""
    compute = compute_type(recipe)
    products = choose_products() if compute is torch.bfloat16 and mesh.device.type == "cpu" else None
    if mesh.device.type == "cuda":
        choose_kernels_by_rule()
    use_flash_attention(layout.flash, mesh.device)
    parts = shape_parts(recipe, layout, mesh)
    for part in parts:
        allocate(part, mesh.device)
        if initial:
            set_initial_weights(part, recipe)
    return ParallelModel(parts, layout, mesh, recipe.batch.sequence_length, compute, losses, products)


def compute_type(recipe: Recipe) -> torch.dtype:
    return getattr(torch, recipe.precision.compute)


def shape_parts(recipe: Recipe, layout: Layout, mesh: Mesh) -> list[Llama]:
    """The parts without memory for their weights: all that a layout does to a model is done."""
    return [_shape_part(recipe, layout, mesh, stage) for stage in layout.stage_numbers(mesh.rank("pp"))]


def _shape_part(recipe: Recipe, layout: Layout, mesh: Mesh, stage: int) -> Llama:
    compute = compute_type(recipe)
    with torch.device("meta"):
        part = Llama(
            recipe.model,
            partition_layers(recipe.model.num_hidden_layers, layout.stages)[stage],
            first=stage == 0,
            last=stage == layout.stages - 1,
        )
    if compute is torch.float64:
        part = part.double()
    if recipe.precision.matmul == "float8-rowwise":
        use_float8(part, mesh.device)
    if layout.tp > 1:
        split_tensors(part, mesh.tensor, head_gives_losses=layout.head_chunks > 1)
    if layout.cp > 1:
        split_context(part, context_shard(recipe.batch.sequence_length, mesh.group("cp"), mesh.device))
    elif compute is torch.bfloat16:
        set_attention(part)
    recompute_blocks(part, layout.recompute)
    if layout.async_tp:
        overlap_tensor_communication()
    if layout.compile:
        compile_blocks(part)
    if layout.dp * layout.cp > 1 or compute is torch.bfloat16:
        shard_data(part, mesh.data, compute, keep_gathered=layout.pp > 1 or layout.dp * layout.cp == 1)
    return part


def allocate(part: Llama, device: torch.device) -> None:
    """Give the part's weights memory on ``device``, with anything in it."""
    part.to_empty(device=device)
    if part.shape.tie_word_embeddings and part.lm_head is not None and part.embed_tokens is not None:
        part.lm_head.weight = part.embed_tokens.weight  # to_empty gave each its own memory


def parameters_by_name(parts: Iterable[Llama]) -> dict[str, torch.nn.Parameter]:
    """This process's (shards of) parameters by the names they have in the whole model."""
    return {name.replace(WRAPPER, ""): parameter for part in parts for name, parameter in part.named_parameters()}


@torch.no_grad()
def set_initial_weights(part: Llama, recipe: Recipe) -> None:
    """Every shard gets its piece of the whole parameter's first value, drawn at random or of the pretrained model: the
    same model under every layout."""
    pretrained = pretrained_weights(recipe)
    for name, parameter in parameters_by_name([part]).items():
        local: Tensor = parameter
        where = tuple(slice(0, length) for length in parameter.shape)
        if isinstance(parameter, DTensor):
            size, offset = compute_local_shape_and_global_offset(
                parameter.shape, parameter.device_mesh, parameter.placements
            )
            local = parameter.to_local()
            where = tuple(slice(start, start + length) for start, length in zip(offset, size, strict=True))
        if pretrained is None:
            piece = initial_value(name, parameter.shape, recipe.model, recipe.seed, where, local.device)
        else:
            piece = pretrained.read(name, where)
        local.copy_(piece.reshape(local.shape))
