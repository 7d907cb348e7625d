"""Attention for CPUs in bfloat16: batched matrix products over tiles of queries, each with the keys it may see only.

PyTorch's own kernel for CPUs reaches a tenth of the processor's speed in bfloat16 (measured: 88 ms against 35 ms for
4 × 1,024 tokens and 8 heads, forward and backward); matrix products run at full speed, and a tile's scores stay in the
cache. Scores are rounded to bfloat16 unless they are asked for in float32; sums over tiles are kept in float32.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

QUERIES = 128
# Rows share a tile while they are short, so that small tiles do not drown in overhead.
ROW_TOKENS = 2048
# Rows up to so long keep their softmax for the backward pass, heads · tokens bytes a token: computing it again would
# take a fifth of attention's time. For longer rows it would be most of what a layer remembers.
KEPT_TOKENS = 1024


@dataclass(frozen=True)
class Tile:
    """Queries ``queries`` of the rows ``rows`` attend to the keys from ``first_key`` to the last query."""

    rows: slice
    queries: slice
    first_key: int
    bias: Tensor
    """0 or -inf, added to the scores of the last keys: [rows or 1, 1, 1, queries, last keys]."""

    @property
    def keys(self) -> slice:
        return slice(self.first_key, self.queries.stop)


@cache
def whole_rows(rows: int, tokens: int, dtype: torch.dtype, size: int = QUERIES) -> tuple[Tile, ...]:
    """The tiles of rows that are one document each: only the last, square part of a tile's scores is masked."""
    tiles = []
    for here in _row_groups(rows, tokens):
        for start in range(0, tokens, size):
            end = min(start + size, tokens)
            tiles.append(Tile(here, slice(start, end), 0, _triangle(end - start, dtype)))
    return tuple(tiles)


def packed_rows(document: Tensor, dtype: torch.dtype, size: int = QUERIES) -> tuple[Tile, ...]:
    """The tiles of rows [rows, tokens] of several documents: no key before a tile's first document is looked at."""
    rows, tokens = document.shape
    position = torch.arange(tokens)
    starts = torch.ones_like(document, dtype=torch.bool)
    starts[:, 1:] = document[:, 1:] != document[:, :-1]
    first = torch.where(starts, position, 0).cummax(dim=1).values  # of each token's document
    tiles = []
    for here in _row_groups(rows, tokens):
        for start in range(0, tokens, size):
            end = min(start + size, tokens)
            begun = first[here, start:end]
            earliest = int(begun[:, 0].min())
            if int(begun.max()) == earliest:
                bias = _triangle(end - start, dtype)
            else:
                keys = position[earliest:end]
                hidden = (keys < begun[:, :, None]) | (keys > position[start:end, None])
                bias = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -torch.inf)[:, None, None]
            tiles.append(Tile(here, slice(start, end), earliest, bias))
    return tuple(tiles)


def _row_groups(rows: int, tokens: int) -> list[slice]:
    together = max(1, ROW_TOKENS // tokens)
    return [slice(start, min(start + together, rows)) for start in range(0, rows, together)]


@cache
def _triangle(tokens: int, dtype: torch.dtype) -> Tensor:
    return torch.full((tokens, tokens), -torch.inf, dtype=dtype).triu(1)[None, None, None]


class TiledAttention(torch.autograd.Function):
    """softmax(q kᵀ / √width + bias) v, tile by tile; the query heads that share a key head form one matrix."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, tiles: tuple[Tile, ...], scores: torch.dtype | None = None
    ) -> Tensor:
        """q [rows, tokens, heads, width]; k and v with fewer heads, of which ``heads`` is a multiple.

        Scores and their softmax have type ``scores`` (by default q's); what is kept for the backward pass has q's.
        """
        ctx.tiles, ctx.scores = tiles, scores or q.dtype
        wide_q, keys, values = q.to(ctx.scores), *(_by_head(t, ctx.scores) for t in (k, v))
        attended = torch.empty_like(q, memory_format=torch.contiguous_format)
        kept = []
        for tile in tiles:
            weights = _weights(_by_key_head(wide_q, tile, k.shape[2]), keys, tile)
            _store(attended, tile, torch.bmm(weights, _flat(values, tile)))
            if q.shape[1] <= KEPT_TOKENS:
                kept.append(weights.to(q.dtype))
        ctx.save_for_backward(q, k, v, *kept)
        return attended

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        q, k, v, *kept = ctx.saved_tensors
        groups, scale, wide = k.shape[2], q.shape[-1] ** -0.5, torch.promote_types(q.dtype, torch.float32)
        dq = torch.empty_like(q, memory_format=torch.contiguous_format)
        wide_q, upstream = q.to(ctx.scores), upstream.to(ctx.scores)
        keys, values = (_by_head(t, ctx.scores) for t in (k, v))
        dk, dv = (torch.zeros_like(keys, dtype=wide) for _ in range(2))
        for place, tile in enumerate(ctx.tiles):
            queries, change = _by_key_head(wide_q, tile, groups), _by_key_head(upstream, tile, groups)
            weights = kept[place].to(ctx.scores) if kept else _weights(queries, keys, tile)
            _add(dv, tile, torch.bmm(weights.transpose(1, 2), change))
            dweights = torch.bmm(change, _flat(values, tile).transpose(1, 2))
            dscores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
            _store(dq, tile, _scaled_product(dscores, _flat(keys, tile), scale))
            _add(dk, tile, _scaled_product(dscores.transpose(1, 2), queries, scale))
        return dq, dk.transpose(1, 2).to(q.dtype), dv.transpose(1, 2).to(q.dtype), None, None


def _by_head(t: Tensor, dtype: torch.dtype) -> Tensor:
    """[rows, heads, tokens, width] of [rows, tokens, heads, width], without gaps."""
    return t.transpose(1, 2).contiguous().to(dtype)


def _by_key_head(t: Tensor, tile: Tile, groups: int) -> Tensor:
    """A tile's queries [rows · groups, heads / groups · queries, width] of [rows, tokens, heads, width]."""
    return t[tile.rows, tile.queries].unflatten(2, (groups, -1)).permute(0, 2, 3, 1, 4).flatten(2, 3).flatten(0, 1)


def _flat(t: Tensor, tile: Tile) -> Tensor:
    """A tile's keys [rows · groups, keys, width] of [rows, groups, tokens, width], without a copy."""
    return t[tile.rows].flatten(0, 1)[:, tile.keys]


def _weights(queries: Tensor, keys: Tensor, tile: Tile) -> Tensor:
    """softmax(queries keysᵀ / √width + bias) [rows · groups, heads / groups · queries, keys]."""
    scores = _scaled_product(queries, _flat(keys, tile).transpose(1, 2), queries.shape[-1] ** -0.5)
    count, masked = tile.bias.shape[-2:]
    by_head = scores.view(-1, keys.shape[1], queries.shape[1] // count, count, scores.shape[-1])
    by_head[..., -masked:].add_(tile.bias)
    return torch.softmax(scores, dim=-1, out=scores)


def _scaled_product(a: Tensor, b: Tensor, scale: float) -> Tensor:
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale)


def _store(target: Tensor, tile: Tile, value: Tensor) -> None:
    """The inverse of ``_by_key_head``, into [rows, tokens, heads, width]."""
    rows, queries = target[tile.rows].shape[0], tile.queries.stop - tile.queries.start
    heads = value.view(rows, -1, value.shape[1] // queries, queries, value.shape[-1])
    target[tile.rows, tile.queries].view(rows, queries, *heads.shape[1:3], -1).copy_(heads.permute(0, 3, 1, 2, 4))


def _add(target: Tensor, tile: Tile, value: Tensor) -> None:
    target[tile.rows].flatten(0, 1)[:, tile.keys].add_(value)
