"""Context parallelism: the tokens of a row are shared by several ranks, applied from outside the model.

Everything but attention works on tokens one by one. For attention every rank gathers the keys and values of the whole
row and computes its own queries (as Llama 3 was trained: Grattafiori et al. 2024, section 3.3.2); grouped-query heads
make keys and values small beside the queries. A row is cut into 2 · cp chunks and rank r holds chunks r and
2 · cp - 1 - r: a late chunk attends to much and an early one to little, so all ranks have the same work.
"""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from altiplano.model.attention import Packing, block_mask, causal_attention
from altiplano.model.llama import Llama, Rotary
from altiplano.parallel.bfloat16 import in_use

# PyTorch 2.13's names; 2.11 has the older ones only.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


def local_positions(sequence: int, ranks: int, rank: int) -> Tensor:
    """Places [sequence / ranks] in a row of the tokens that ``rank`` holds, in the order in which it holds them."""
    if ranks == 1:
        return torch.arange(sequence)
    chunks = torch.arange(sequence).chunk(2 * ranks)
    return torch.cat([chunks[rank], chunks[2 * ranks - 1 - rank]])


class ContextShard(NamedTuple):
    """Which tokens of a row each context-parallel rank holds; made once, so that no step waits for a copy to a GPU."""

    group: dist.ProcessGroup
    held: Tensor
    """Places in the row of this rank's tokens."""
    gathered: Tensor
    """Places in the row of all tokens when they lie rank after rank."""


def context_shard(sequence: int, group: dist.ProcessGroup, device: torch.device) -> ContextShard:
    held = [local_positions(sequence, group.size(), rank).to(device) for rank in range(group.size())]
    return ContextShard(group, held[group.rank()], torch.cat(held))


def split_context(model: Llama, share: ContextShard) -> None:
    """Let ``model`` take this rank's tokens of every row, with ``document`` of the whole rows."""
    whole_rotary = model.rotary

    def rotary(start: int, tokens: int, device: torch.device, dtype: torch.dtype) -> Rotary:
        cos, sin = whole_rotary(start, tokens, device, dtype)
        return cos[share.held], sin[share.held]

    def pack_documents(document: Tensor | None, dtype: torch.dtype) -> Packing:
        if document is None:
            raise TypeError("context parallelism needs the documents of whole rows")
        return context_packing(document, share.held)

    def attend(q: Tensor, k: Tensor, v: Tensor, packing: Packing) -> Tensor:
        keys, values = gather_sequence(torch.stack([k, v]), share)
        if q.is_cuda or in_use() == "native":
            return context_attention(q, keys, values, packing)
        return context_attention(q.float(), keys.float(), values.float(), packing).to(q.dtype)

    model.rotary, model.pack_documents = rotary, pack_documents  # type: ignore[method-assign]
    for block in model.layers.values():
        block.get_submodule("self_attn").attend = attend  # type: ignore[assignment]


def context_packing(document: Tensor, held: Tensor) -> Packing:
    """Which keys this rank's queries may attend to, from ``document`` [rows, tokens] of whole rows.

    On a CPU a boolean mask for each of its two chunks [rows, 1, queries, keys up to the chunk's last]; on a GPU
    FlexAttention's block-sparse mask.
    """
    return block_mask(document, held) if document.is_cuda else _chunk_masks(document, held)


def _chunk_masks(document: Tensor, held: Tensor) -> list[Tensor]:
    masks = []
    for chunk in held.chunk(2):
        keys = torch.arange(int(chunk[-1]) + 1)
        same_document = document[:, chunk, None] == document[:, None, keys]
        masks.append((same_document & (chunk[:, None] >= keys))[:, None])
    return masks


def context_attention(q: Tensor, k: Tensor, v: Tensor, packing: Packing) -> Tensor:
    """Attention of this rank's queries [rows, tokens / ranks, heads, head_dim] to keys and values of whole rows."""
    if q.is_cuda:
        return causal_attention(q, k, v, packing)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    attended = []
    for chunk, mask in zip(q.chunk(2, dim=2), packing, strict=True):
        keys, values = (t[:, :, : mask.shape[-1]] for t in (k, v))
        attended.append(F.scaled_dot_product_attention(chunk, keys, values, attn_mask=mask, enable_gqa=True))
    return torch.cat(attended, dim=2).transpose(1, 2)


def gather_sequence(mine: Tensor, share: ContextShard) -> Tensor:
    """[..., rows, tokens / ranks, heads, head_dim] of every rank to those of whole rows, in the order of the row."""
    return _GatherSequence.apply(mine, share)


class _GatherSequence(torch.autograd.Function):
    """All-gather along the tokens; backward, every rank gets the sum of all ranks' gradients of its own tokens."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, share: ContextShard) -> Tensor:
        ctx.share, tokens_first = share, mine.movedim(-3, 0).contiguous()
        gathered = tokens_first.new_empty(len(share.gathered), *tokens_first.shape[1:])
        _all_gather(gathered, tokens_first, group=share.group)
        row = torch.empty_like(gathered)
        row[share.gathered] = gathered
        return row.movedim(0, -3)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        gathered = upstream[0].movedim(-3, 0)[ctx.share.gathered].contiguous()
        mine = gathered.new_empty(len(ctx.share.held), *gathered.shape[1:])
        _reduce_scatter(mine, gathered, group=ctx.share.group)
        return mine.movedim(0, -3), None
