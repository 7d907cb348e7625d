"""Causal attention that never crosses a document boundary: one function, whatever the device.

Shapes: q is [rows, tokens, heads, head_dim]; k and v have num_key_value_heads heads (grouped-query attention, Ainslie
et al. 2023); the result has the shape of q.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from altiplano.model.cpu_attention import TiledAttention, packed_rows, whole_rows

# How documents lie in a batch: None when every row is one document; else on a GPU a block mask, on a CPU the tiles of
# scores to compute (bfloat16) or the documents' lengths; or ``SharedContexts``.
Packing = Any


def document_packing(document: Tensor | None, dtype: torch.dtype) -> Packing:
    """What ``causal_attention`` needs to know of ``document`` [rows, tokens], worked out once for all layers."""
    if document is None:
        return None
    if document.is_cuda:
        return block_mask(document)
    starts = torch.ones_like(document, dtype=torch.bool)
    starts[:, 1:] = document[:, 1:] != document[:, :-1]
    if int(starts.sum()) == document.shape[0]:
        return None
    if dtype is torch.bfloat16:
        return packed_rows(document, dtype)
    places = starts.flatten().nonzero().flatten().tolist()
    return [end - start for start, end in zip(places, [*places[1:], document.numel()], strict=True)]


def causal_attention(q: Tensor, k: Tensor, v: Tensor, packing: Packing) -> Tensor:
    """Self-attention within each document of ``packing``."""
    if isinstance(packing, SharedContexts):
        return packing.attend(q, k, v)
    if q.dtype is torch.bfloat16 and not q.is_cuda:
        return TiledAttention.apply(q, k, v, packing or whole_rows(*q.shape[:2], q.dtype))
    if packing is None:
        return fused_attention(q, k, v, mask=None, is_causal=True)
    if q.is_cuda:
        return flex_attention(q, k, v, packing)
    # One split of the flattened rows: its backward is one concatenation, however many documents there are.
    parts = zip(*(t.flatten(0, 1).unsqueeze(0).split_with_sizes(packing, dim=1) for t in (q, k, v)), strict=True)
    attended = [fused_attention(q, k, v, mask=None, is_causal=True) for q, k, v in parts]
    return torch.cat(attended, dim=1).view_as(q)


@dataclass(frozen=True)
class Segment:
    """Tokens [start, end) of a row that go on where the segment ``after`` ends; None: they begin a text."""

    start: int
    end: int
    after: int | None = None


class SharedContexts:
    """Several texts in one row, what they begin with in common once: each segment sees itself and those before it."""

    def __init__(self, segments: Sequence[Segment], device: torch.device):
        """``segments`` lie one after the other, each behind the one that it continues."""
        self.segments = segments
        self.device = device
        self.context: list[list[int]] = []
        """Of each segment the segments before it, the first of the text first."""
        begins: list[int] = []
        for segment in segments:
            before = [] if segment.after is None else [*self.context[segment.after], segment.after]
            self.context.append(before)
            begins.append(sum(segments[at].end - segments[at].start for at in before))
        self.positions = torch.cat(
            [torch.arange(s.end - s.start) + begin for s, begin in zip(segments, begins, strict=True)]
        ).to(device)
        """Of each token in its text [tokens]."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k and v of the one row [1, tokens, heads, head_dim]."""
        if q.is_cuda:  # one large product with a mask is faster there than many small ones
            return fused_attention(q, k, v, self._mask, is_causal=False)
        attended = []
        for segment, before in zip(self.segments, self.context, strict=True):
            own = slice(segment.start, segment.end)
            if not before:
                attended.append(fused_attention(q[:, own], k[:, own], v[:, own], mask=None, is_causal=True))
                continue
            parts = [slice(self.segments[at].start, self.segments[at].end) for at in before] + [own]
            keys, values = (torch.cat([t[:, part] for part in parts], dim=1) for t in (k, v))
            new, total = segment.end - segment.start, keys.shape[1]
            # a single token sees all there is; more see those before them
            mask = None if new == 1 else torch.ones(new, total, dtype=torch.bool, device=q.device).tril(total - new)
            attended.append(fused_attention(q[:, own], keys, values, mask, is_causal=False))
        return torch.cat(attended, dim=1)

    @cached_property
    def _mask(self) -> Tensor:
        """Which token [tokens, 1] sees which [1, tokens]."""
        owner = torch.cat([torch.full((s.end - s.start,), at) for at, s in enumerate(self.segments)])
        sees = torch.eye(len(self.segments), dtype=torch.bool)
        for at, before in enumerate(self.context):
            sees[at, before] = True
        tokens = torch.arange(len(owner))
        return (sees[owner][:, owner] & (tokens[:, None] >= tokens[None, :])).to(self.device)


def fused_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor:
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    grouped = q.shape[1] != k.shape[1]
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal, enable_gqa=grouped)
    return attended.transpose(1, 2)


BLOCK = 128  # queries and keys of a block of FlexAttention's masks


def block_mask(document: Tensor, places: Tensor | None = None) -> Any:
    """FlexAttention's block-sparse mask of the queries at ``places`` [queries] of each row (all of them: None).

    Which blocks are empty or need no mask follows from the first and last document and place in them. PyTorch's
    ``create_block_mask`` looks at every score instead: 64 MiB a row at 8,192 tokens, 16 GiB at 131,072.
    """
    from torch.nn.attention.flex_attention import BlockMask

    global on_hopper  # noqa: PLW0603
    on_hopper = torch.cuda.is_available() and torch.cuda.get_device_capability() == (9, 0)
    tokens = document.shape[1]
    keys = torch.arange(tokens, device=document.device)
    queries, of_queries = (keys, document) if places is None else (places, document[:, places])

    def whole_row(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (document[row, query] == document[row, key])

    def some_places(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        place = queries[query]
        return (place >= key) & (document[row, place] == document[row, key])

    (least, most), (low, high) = _edges(of_queries), _edges(document)
    (first, last), (begin, end) = _edges(queries[None]), _edges(keys[None])
    least, most, first, last = (edge[:, :, None] for edge in (least, most, first, last))
    low, high, begin, end = (edge[:, None] for edge in (low, high, begin, end))
    needed = (least <= high) & (low <= most) & (last >= begin)
    full = (least == most) & (low == high) & (least == low) & (first >= end)
    full[:, len(queries) // BLOCK :] = False  # a block that reaches beyond the row is masked
    full[:, :, tokens // BLOCK :] = False
    return BlockMask.from_kv_blocks(
        *_listed(needed & ~full),
        *_listed(full),
        BLOCK_SIZE=BLOCK,
        mask_mod=whole_row if places is None else some_places,
        seq_lengths=(len(queries), tokens),
    )


def _edges(values: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest of each block of values [rows, tokens]: both [rows, blocks]."""
    missing = -values.shape[1] % BLOCK
    blocks = torch.cat([values, values[:, -1:].expand(-1, missing)], dim=1).unflatten(1, (-1, BLOCK))
    return blocks.amin(-1), blocks.amax(-1)


def _listed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of keys are chosen [rows, queries, keys] for each block of queries, and which, those first."""
    flags = chosen[:, None].int()
    return flags.sum(-1, dtype=torch.int32), flags.argsort(dim=-1, descending=True, stable=True).int()


def flex_attention(q: Tensor, k: Tensor, v: Tensor, mask: Any) -> Tensor:
    """FlexAttention, always compiled: by itself, or as part of a compiled block."""
    from torch.nn.attention import flex_attention as flex

    if q.dtype is torch.float64:  # its kernels have no products of float64
        queries, keys = mask.seq_lengths
        allowed = flex.create_mask(mask.mask_mod, len(q), None, queries, keys, device=str(q.device))
        return fused_attention(q, k, v, mask=allowed, is_causal=False)
    attend = flex.flex_attention if torch.compiler.is_compiling() else _compiled_flex_attention()
    options: dict[str, Any] | None = None
    if q.dtype is torch.bfloat16 and flash_attention:
        options = {"BACKEND": "FLASH"}
    elif q.dtype is torch.bfloat16 and q.shape[-1] == 64 and on_hopper:
        options = NARROW_HEADS
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    attended: Tensor = attend(q, k, v, block_mask=mask, enable_gqa=True, kernel_options=options)
    return attended.transpose(1, 2)


flash_attention = False
"""Whether FlexAttention computes bfloat16 by FlashAttention 4's kernels (``parallel/flash_attention.py``)."""

NARROW_HEADS = {"fwd_BLOCK_M": 128, "fwd_BLOCK_N": 64, "fwd_num_stages": 3, "fwd_num_warps": 4}
"""The forward kernel for heads 64 wide on Hopper. PyTorch 2.11's own choice takes 1.3 times as long: 1.19 ms, and 0.91,
in training steps on an H200 with rows of 8,192 tokens. Other backward kernels, and others for 128 wide heads, gained
nothing."""

on_hopper = False
"""Set by ``block_mask``, which is never compiled: asked for in a compiled block it would need an import of seconds."""


@cache
def _compiled_flex_attention() -> Any:
    """Compiled once per process; uncompiled FlexAttention would materialise every score.

    Wrapped, where PyTorch can, so that selective recomputation sees it and keeps what it gives.
    """
    from torch._inductor import config
    from torch.nn.attention.flex_attention import flex_attention

    wrap = "wrap_inductor_compiled_regions"
    return torch.compile(flex_attention, options={wrap: True} if hasattr(config, wrap) else None)


@dataclass
class Cache:
    """Keys and values of the tokens seen so far, for generation.

    Prompts of different lengths share a batch by padding on the left: ``document`` tells the padding (any other number)
    from the prompt, and rotary positions are relative, so the padding changes nothing. ``keys`` and ``values`` have
    room for more tokens than ``length``.
    """

    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    document: Tensor | None = None

    @property
    def length(self) -> int:
        return 0 if self.document is None else self.document.shape[1]

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append ``k`` and ``v`` of a layer's new tokens (``mask`` has counted them); return those of all tokens."""
        start, end = self.length - k.shape[1], self.length
        for buffers, new in ((self.keys, k), (self.values, v)):
            old = buffers.get(layer)
            if old is None or old.shape[1] < end:
                # Room for twice as many: copying everything at every token took 5 to 50 % of a step.
                buffers[layer] = new.new_empty(new.shape[0], max(64, 2 * end), *new.shape[2:])
                if old is not None:
                    buffers[layer][:, :start] = old[:, :start]
            buffers[layer][:, start:end] = new
        return self.keys[layer][:, :end], self.values[layer][:, :end]

    def keep(self, rows: list[int]) -> None:
        """Forget all rows but these."""
        if self.document is not None:
            self.document = self.document[rows]
        self.keys = {layer: keys[rows] for layer, keys in self.keys.items()}
        self.values = {layer: values[rows] for layer, values in self.values.items()}

    def mask(self, document: Tensor) -> Tensor:
        """Remember the documents [rows, tokens] of new tokens; return which [rows, 1, new, all] they may attend to."""
        self.document = document if self.document is None else torch.cat([self.document, document], dim=1)
        total, new = self.document.shape[1], document.shape[1]
        causal = torch.ones(new, total, dtype=torch.bool, device=document.device).tril(total - new)
        return (causal & (document[:, :, None] == self.document[:, None, :]))[:, None]


def cached_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of new tokens to all tokens; ``mask`` from ``Cache.mask``."""
    return fused_attention(q, k, v, mask=mask, is_causal=False)
