"""Activation recomputation: a block forgets what it computed and computes it again in the backward pass."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from altiplano.model.llama import Llama
from altiplano.recipe.layout import Recompute

WRAPPER = "_checkpoint_wrapped_module."
"""What wrapping a block adds to the names of its parameters."""

_aten = torch.ops.aten
ATTENTION = {
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
    torch.ops.higher_order.flex_attention,
}
# FlexAttention that was compiled by itself (altiplano.model.attention).
if compiled := getattr(torch.ops.higher_order, "inductor_compiled_code", None):
    ATTENTION.add(compiled)


def recompute_blocks(model: Llama, recompute: Recompute) -> None:
    """``full`` keeps only the input of each block (Chen et al. 2016).

    ``selective`` keeps the input of each half of a block and what is dear to compute for its size: attention, and the
    products that are read again in the backward pass: queries, keys and values; gate and up. The last product of each
    half is not one of them: nobody reads it there, so it is neither kept, under tensor parallelism a partial sum of the
    whole sequence, nor computed and reduced again.
    """
    block: Any
    for name, block in model.layers.items():
        if recompute == "full":
            model.layers[name] = checkpoint_wrapper(block, preserve_rng_state=False)
        elif recompute == "selective":
            block.attention = _recomputed(block.attention, products=3)
            block.feed_forward = _recomputed(block.feed_forward, products=2)


def _recomputed(half: Callable[..., Tensor], products: int) -> Callable[..., Tensor]:
    def contexts() -> Any:
        return create_selective_checkpoint_contexts(_Keep(products))

    return partial(checkpoint, half, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)


class _Keep:
    """In one pass through one half: its first ``products``, and attention. Norms, rotations, SiLU and casts are cheap;
    batched products are attention scores, too large to keep."""

    def __init__(self, products: int):
        self.left = {False: products, True: products}

    def __call__(self, context: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
        if operator is _aten.mm.default:
            self.left[context.is_recompute] -= 1
            keep = self.left[context.is_recompute] >= 0
        else:
            keep = operator in ATTENTION
        return CheckpointPolicy.MUST_SAVE if keep else CheckpointPolicy.PREFER_RECOMPUTE
