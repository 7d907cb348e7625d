"""Cross-entropy per token, over a vocabulary that may be split across tensor-parallel ranks."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from altiplano.parallel.pipeline import TokenLosses
from altiplano.tokens.loader import IGNORED

# Elements of the logits that are widened at a time: on a CPU what fits in a core's share of the cache, on a GPU enough
# to fill it. All of them at once would be four float32 copies of the largest activation of all.
CHUNK = {"cpu": 2**20, "cuda": 2**27}


def token_losses(group: dist.ProcessGroup | None) -> TokenLosses:
    """A function of local logits [rows, sequence, vocabulary / tp] and targets [rows, sequence] to losses in nats.

    Softmax is taken in at least float32. Ignored targets lose nothing.
    """
    split = group if group is not None and group.size() > 1 else None
    return lambda logits, targets: _CrossEntropy.apply(logits, targets, split)


class _CrossEntropy(torch.autograd.Function):
    """log Σ exp(logits) - logits[target], a few tokens at a time; what is kept is the logits and some numbers a token.

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
        normaliser = torch.empty_like(chosen)
        for some in _chunks(flat):
            own = torch.log_softmax(flat[some], dim=-1, dtype=chosen.dtype).gather(1, column[some]).flatten()
            normaliser[some] = chosen[some] - own
        local = normaliser
        if group is not None:
            highest = local.clone()
            dist.all_reduce(highest, dist.ReduceOp.MAX, group=group)
            sums = torch.stack([(local - highest).exp(), torch.where(here, chosen, 0)])
            dist.all_reduce(sums, group=group)
            normaliser, chosen = highest + sums[0].log(), sums[1]
        losses = torch.where(valid, normaliser - chosen, 0)
        ctx.save_for_backward(logits, column, here, valid, losses, (local - normaliser).exp())
        return losses.view(targets.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        """(softmax - one at the target) · upstream; at the target without rounding softmax, which may be close to 1."""
        logits, column, here, valid, losses, share = ctx.saved_tensors
        flat = logits.reshape(-1, logits.shape[-1])
        scale = torch.where(valid, upstream.flatten(), 0).to(losses.dtype)
        factor, at_target = (scale * share)[:, None], (scale * torch.expm1(-losses))[:, None]
        gradient = torch.empty_like(flat)
        for some in _chunks(flat):
            wide = torch.softmax(flat[some], dim=-1).to(losses.dtype).mul_(factor[some])
            here_or_there = torch.where(here[some, None], at_target[some], wide.gather(1, column[some]))
            gradient[some] = wide.scatter_(1, column[some], here_or_there)
        return gradient.view(logits.shape), None, None


def _wide(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)


def _chunks(flat: Tensor) -> list[slice]:
    tokens = max(1, CHUNK[flat.device.type] // flat.shape[1])
    return [slice(start, start + tokens) for start in range(0, len(flat), tokens)]
