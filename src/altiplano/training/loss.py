"""Cross-entropy per token, over a vocabulary that may be split across tensor-parallel ranks."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from altiplano.parallel.pipeline import TokenLosses
from altiplano.tokens.loader import IGNORED


def token_losses(group: dist.ProcessGroup | None) -> TokenLosses:
    """A function of local logits [rows, sequence, vocabulary / tp] and targets [rows, sequence] to losses in nats.

    Softmax is taken in at least float32. Ignored targets lose nothing.
    """
    if group is None or group.size() == 1:
        return _whole_vocabulary
    return lambda logits, targets: _SplitVocabulary.apply(logits, targets, group)


def _whole_vocabulary(logits: Tensor, targets: Tensor) -> Tensor:
    wide = logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(wide, targets.flatten(), ignore_index=IGNORED, reduction="none").view_as(targets)


class _SplitVocabulary(torch.autograd.Function):
    """Vocabulary-parallel cross-entropy (Shoeybi et al. 2019): three numbers per token cross the ranks, no logits."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, group: dist.ProcessGroup) -> Tensor:
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        start = group.rank() * logits.shape[-1]
        here = (targets >= start) & (targets < start + logits.shape[-1])
        column = torch.where(here, targets - start, 0).unsqueeze(-1)
        highest = wide.amax(dim=-1)
        dist.all_reduce(highest, dist.ReduceOp.MAX, group=group)
        shifted = wide - highest.unsqueeze(-1)
        chosen = torch.where(here, shifted.gather(-1, column).squeeze(-1), 0)
        exponentials = shifted.exp_()
        sums = torch.stack([exponentials.sum(dim=-1), chosen])
        dist.all_reduce(sums, group=group)
        total, chosen = sums
        valid = targets != IGNORED
        ctx.save_for_backward(exponentials.div_(total.unsqueeze(-1)), column, here, valid)
        ctx.dtype = logits.dtype
        return torch.where(valid, total.log() - chosen, 0)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        probabilities, column, here, valid = ctx.saved_tensors
        scale = torch.where(valid, upstream[0], 0).unsqueeze(-1)
        gradient = probabilities * scale
        gradient.scatter_add_(-1, column, torch.where(here.unsqueeze(-1), -scale, 0))
        return gradient.to(ctx.dtype), None, None
