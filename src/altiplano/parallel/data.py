"""Fully sharded data parallelism (FSDP2, ZeRO-3): each rank keeps its share of weights, gradients and moments.

With replicas (hybrid sharding, HSDP) parameters are sharded over a group of ranks, and the groups are copies of each
other that add up their gradients. It also carries mixed precision: float32 master weights, gathered and multiplied in
bfloat16, gradients reduced in float32.
"""

import warnings

import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from altiplano.model.llama import Llama


def shard_data(model: Llama, mesh: DeviceMesh, compute: torch.dtype, keep_gathered: bool) -> None:
    """Shard ``model`` over ``mesh``: one dimension of shards, or two, replicas and shards.

    ``keep_gathered`` leaves weights gathered between forward and backward, as pipelines need: gathering them again for
    every micro-batch would cost more than it saves.
    """
    if compute is torch.bfloat16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    else:
        policy = MixedPrecisionPolicy()
    # A warning about in-place operations on its outputs; the model has none.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")
    parts = [*model.layers.values()]
    if model.embed_tokens is not None and not model.shape.tie_word_embeddings:
        parts.append(model.embed_tokens)
    for part in parts:
        fully_shard(part, mesh=mesh, mp_policy=policy, reshard_after_forward=not keep_gathered)
    if model.norm is not None and model.lm_head is not None and not model.shape.tie_word_embeddings:
        fully_shard([model.norm, model.lm_head], mesh=mesh, mp_policy=policy, reshard_after_forward=not keep_gathered)
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=not keep_gathered)
    for module in fsdp_modules(model):
        # Sum, not average: the loss is already divided by the tokens of the whole batch. Both calls are needed, and on
        # every module, as neither is recursive; gloo has no premultiplied sum.
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)


def fsdp_modules(model: Llama) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]
