"""Cross-entropy per token, over a vocabulary that may be split across tensor-parallel ranks."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from altiplano.parallel.pipeline import TokenLosses
from altiplano.tokens.loader import IGNORED

CHUNK = 2**20
"""Elements of the logits that a CPU widens at a time: what fits in a core's share of the cache. All of them at once
would be four float32 copies of the largest activation of all. On a GPU compiled kernels widen them on their way."""


def token_losses(group: dist.ProcessGroup | None) -> TokenLosses:
    """A function of local logits [rows, sequence, vocabulary / tp] and targets [rows, sequence] to losses in nats.

    Softmax is taken in at least float32. Ignored targets lose nothing.
    """
    split = group if group is not None and group.size() > 1 else None
    return lambda logits, targets: _CrossEntropy.apply(logits, targets, split)


class _CrossEntropy(torch.autograd.Function):
    """log Σ exp(logits) - logits[target], with no float32 copy of the logits; these and some numbers a token are kept.

    Over a split vocabulary (Shoeybi et al. 2019) three numbers per token cross the ranks, no logits.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        columns = logits.shape[-1]
        flat, wanted = logits.reshape(-1, columns), targets.flatten()
        valid = wanted != IGNORED
        wanted = wanted - (0 if group is None else group.rank() * columns)
        here = valid & (wanted >= 0) & (wanted < columns)
        column = torch.where(here, wanted, 0)[:, None]
        chosen = flat.gather(1, column).flatten().to(_wide(logits))
        local = normaliser = (
            _compiled(_log_sums)(flat) if _is_fused(flat) else _log_sums_by_chunks(flat, column, chosen)
        )
        if group is not None:
            highest = local.clone()
            dist.all_reduce(highest, dist.ReduceOp.MAX, group=group)
            sums = torch.stack([(local - highest).exp(), torch.where(here, chosen, 0)])
            dist.all_reduce(sums, group=group)
            normaliser, chosen = highest + sums[0].log(), sums[1]
        losses = torch.where(valid, normaliser - chosen, 0)
        ctx.save_for_backward(logits, column, here, valid, losses, local, normaliser)
        return losses.view(targets.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        """(softmax - one at the target) · upstream; at the target without rounding softmax, which may be close to 1."""
        logits, column, here, valid, losses, local, normaliser = ctx.saved_tensors
        flat = logits.reshape(-1, logits.shape[-1])
        scale = torch.where(valid, upstream.flatten(), 0).to(losses.dtype)
        at_target = scale * torch.expm1(-losses)
        if _is_fused(flat):
            target = torch.where(here, column[:, 0], -1)
            gradient = _compiled(_gradient)(flat, target, scale, at_target, normaliser)
        else:
            factor = scale * (local - normaliser).exp()
            gradient = _gradient_by_chunks(flat, column, here, factor[:, None], at_target[:, None])
        return gradient.view(logits.shape), None, None


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
