"""Activation recomputation: a block forgets what it computed and computes it again in the backward pass."""

from functools import partial
from typing import Any

import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

from altiplano.model.llama import Llama
from altiplano.recipe.layout import Recompute

WRAPPER = "_checkpoint_wrapped_module."
"""What wrapping a block adds to the names of its parameters."""

_aten = torch.ops.aten
# Dear to compute for their size: products with weights, and attention. Norms, rotations, SiLU and casts are cheap;
# batched products are attention scores, too large to keep.
KEPT = {
    _aten.mm.default,
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
    torch.ops.higher_order.flex_attention,
}


def recompute_blocks(model: Llama, recompute: Recompute) -> None:
    """``full`` keeps only the input of each block (Chen et al. 2016), ``selective`` also what is dear to compute."""
    for name, block in model.layers.items():
        if recompute == "full":
            model.layers[name] = checkpoint_wrapper(block)
        elif recompute == "selective":
            contexts = partial(create_selective_checkpoint_contexts, _keep_dear)
            model.layers[name] = checkpoint_wrapper(block, context_fn=contexts)


def _keep_dear(context: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operator in KEPT else CheckpointPolicy.PREFER_RECOMPUTE
