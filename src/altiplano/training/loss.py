"""Cross-entropy per token, over a vocabulary that may be split across tensor-parallel ranks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from altiplano.tokens.loader import IGNORED

CHUNK = 2**20
"""Elements of the logits that a CPU widens at a time: what fits in a core's share of the cache. All of them at once
would be four float32 copies of the largest activation of all. On a GPU compiled kernels widen them on their way."""
TILE = 128
"""Pieces of the vocabulary are whole tiles of a GPU's products."""


@dataclass(frozen=True)
class CrossEntropy:
    """Losses in nats [rows, sequence] of targets. Softmax is taken in at least float32. Ignored targets lose nothing.

    Over a vocabulary that ``group`` splits (Shoeybi et al. 2019) three numbers per token cross the ranks, no logits.
    """

    group: dist.ProcessGroup | None

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Of local logits [rows, sequence, vocabulary / tp]."""
        return _CrossEntropy.apply(logits, targets, self.group)

    def of_hidden(self, hidden: Tensor, weight: Tensor, targets: Tensor, chunks: int) -> Tensor:
        """Of what the head's local ``weight`` [vocabulary / tp, width] makes logits of, in ``chunks`` pieces of the
        vocabulary, one after the other, forward and once more backward."""
        return _HeadCrossEntropy.apply(hidden, weight, targets, self.group, chunks)


def token_losses(group: dist.ProcessGroup | None) -> CrossEntropy:
    return CrossEntropy(group if group is not None and group.size() > 1 else None)


class _CrossEntropy(torch.autograd.Function):
    """log Σ exp(logits) - logits[target], with no float32 copy of the logits: they and some numbers a token stay."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        flat, column = logits.reshape(-1, logits.shape[-1]), _local_columns(targets, logits.shape[-1], group)
        chosen, local = _read(flat, column)
        losses, normaliser = _losses(chosen, local, targets, group)
        ctx.save_for_backward(logits, column, targets, losses, local, normaliser)
        return losses.view(targets.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        logits, column, targets, losses, local, normaliser = ctx.saved_tensors
        flat = logits.reshape(-1, logits.shape[-1])
        gradient = _gradient_of(flat, column, *_scales(upstream, targets, losses), local, normaliser)
        return gradient.view(logits.shape), None, None


class _HeadCrossEntropy(torch.autograd.Function):
    """The head's product and ``_CrossEntropy`` piece by piece: of all logits there is one piece at a time.

    Pieces are of the vocabulary, not of the tokens: each makes its rows of the weight's gradient whole, rounded once,
    while pieces of the tokens would add up as many roundings of the whole of it, or need it in float32.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, group: dist.ProcessGroup | None, chunks: int
    ) -> Tensor:
        flat, column = hidden.reshape(-1, hidden.shape[-1]), _local_columns(targets, len(weight), group)
        found = [_read(flat @ weight[piece].T, _inside(column, piece)) for piece in _pieces(len(weight), chunks)]
        sums = torch.stack([local for _, local in found])
        chosen = torch.stack([chosen for chosen, _ in found]).sum(0)
        losses, normaliser = _losses(chosen, sums.logsumexp(0), targets, group)
        ctx.save_for_backward(hidden, weight, column, targets, losses, sums, normaliser)
        ctx.chunks = chunks
        return losses.view(targets.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        hidden, weight, column, targets, losses, sums, normaliser = ctx.saved_tensors
        flat, scales = hidden.reshape(-1, hidden.shape[-1]), _scales(upstream, targets, losses)
        dhidden = torch.zeros_like(flat, dtype=_wide(flat))
        dweight = torch.empty_like(weight)
        for piece, local in zip(_pieces(len(weight), ctx.chunks), sums, strict=True):
            rows = weight[piece]
            gradient = _gradient_of(flat @ rows.T, _inside(column, piece), *scales, local, normaliser)
            dhidden += gradient @ rows
            torch.mm(gradient.T, flat, out=dweight[piece])
        return dhidden.to(hidden.dtype).view(hidden.shape), dweight, None, None, None


def _pieces(columns: int, chunks: int) -> list[slice]:
    width = math.ceil(columns / chunks / TILE) * TILE
    return [slice(start, min(start + width, columns)) for start in range(0, columns, width)]


def _local_columns(targets: Tensor, columns: int, group: dist.ProcessGroup | None) -> Tensor:
    """The place of each token's target among this rank's ``columns`` of the vocabulary, -1 where it has none there."""
    start = 0 if group is None else group.rank() * columns
    return _inside(targets.flatten(), slice(start, start + columns))


def _inside(column: Tensor, piece: slice) -> Tensor:
    return torch.where((column >= piece.start) & (column < piece.stop), column - piece.start, -1)


def _read(flat: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """The target's logit, 0 where it is not here, and log Σ exp of the logits [tokens, columns]."""
    place = column.clamp(min=0)[:, None]
    chosen = flat.gather(1, place).flatten().to(_wide(flat))
    sums = _compiled(_log_sums)(flat) if _is_fused(flat) else _log_sums_by_chunks(flat, place, chosen)
    return torch.where(column >= 0, chosen, 0), sums


def _losses(chosen: Tensor, local: Tensor, targets: Tensor, group: dist.ProcessGroup | None) -> tuple[Tensor, Tensor]:
    """Of each token, and log Σ exp of its logits on all ranks."""
    normaliser = local
    if group is not None:
        highest = local.clone()
        dist.all_reduce(highest, dist.ReduceOp.MAX, group=group)
        sums = torch.stack([(local - highest).exp(), chosen])
        dist.all_reduce(sums, group=group)
        normaliser, chosen = highest + sums[0].log(), sums[1]
    return torch.where(targets.flatten() != IGNORED, normaliser - chosen, 0), normaliser


def _scales(upstream: Tensor, targets: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
    """What softmax is multiplied by, and the gradient of the target's logit, (softmax - 1) · upstream, without rounding
    softmax, which may be close to 1."""
    scale = torch.where(targets != IGNORED, upstream, 0).flatten().to(losses.dtype)
    return scale, scale * torch.expm1(-losses)


def _gradient_of(
    flat: Tensor, column: Tensor, scale: Tensor, at_target: Tensor, local: Tensor, normaliser: Tensor
) -> Tensor:
    """(softmax - one at the target) · upstream; ``local`` is log Σ exp of these logits, ``normaliser`` of all."""
    if _is_fused(flat):
        return _compiled(_gradient)(flat, column, scale, at_target, normaliser)
    factor = scale * (local - normaliser).exp()
    return _gradient_by_chunks(flat, column.clamp(min=0)[:, None], column >= 0, factor[:, None], at_target[:, None])


def _is_fused(flat: Tensor) -> bool:
    return flat.device.type == "cuda"


@cache
def _compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """One kernel that reads the logits once, instead of a dozen."""
    return torch.compile(function)


def _log_sums(flat: Tensor) -> Tensor:
    return flat.to(_wide(flat)).logsumexp(-1)


def _gradient(flat: Tensor, target: Tensor, scale: Tensor, at_target: Tensor, normaliser: Tensor) -> Tensor:
    """``target`` is -1 where the target is on another rank."""
    softmax = (flat.to(_wide(flat)) - normaliser[:, None]).exp()
    is_target = torch.arange(flat.shape[1], device=flat.device) == target[:, None]
    return torch.where(is_target, at_target[:, None], softmax * scale[:, None]).to(flat.dtype)


def _log_sums_by_chunks(flat: Tensor, column: Tensor, chosen: Tensor) -> Tensor:
    normaliser = torch.empty_like(chosen)
    for some in _chunks(flat):
        own = torch.log_softmax(flat[some], dim=-1, dtype=chosen.dtype).gather(1, column[some]).flatten()
        normaliser[some] = chosen[some] - own
    return normaliser


def _gradient_by_chunks(flat: Tensor, column: Tensor, here: Tensor, factor: Tensor, at_target: Tensor) -> Tensor:
    gradient = torch.empty_like(flat)
    for some in _chunks(flat):
        wide = torch.softmax(flat[some], dim=-1).to(at_target.dtype).mul_(factor[some])
        here_or_there = torch.where(here[some, None], at_target[some], wide.gather(1, column[some]))
        gradient[some] = wide.scatter_(1, column[some], here_or_there)
    return gradient


def _wide(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)


def _chunks(flat: Tensor) -> list[slice]:
    tokens = max(1, CHUNK // flat.shape[1])
    return [slice(start, start + tokens) for start in range(0, len(flat), tokens)]
