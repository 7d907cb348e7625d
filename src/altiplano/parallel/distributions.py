"""What a model says before each token, in six numbers: enough for losses, greedy choices, membership, calibration.

The vocabulary may be split over tensor-parallel ranks: eight numbers a token cross them, no logits.
"""

import torch
import torch.distributed as dist
from torch import Tensor

LOGITS_AT_ONCE = 2**22
COLUMNS = ("logprob", "likeliest", "highest", "mean", "variance", "squares")
"""Of log p, p = softmax(logits / T): at the target; the token where it is highest; there; its expectation under p and
its variance; and Σ p²."""


def distributions(logits: Tensor, targets: Tensor, temperature: float, group: dist.ProcessGroup | None) -> Tensor:
    """``COLUMNS`` [rows, tokens, 6], float64, of local logits [rows, tokens, vocabulary / tp] and of targets
    [rows, tokens]; ``logprob`` is of no meaning where a target is not in the vocabulary."""
    split = group if group is not None and group.size() > 1 else None
    columns = logits.shape[-1]
    offset = columns * (split.rank() if split is not None else 0)
    flat, wanted = logits.reshape(-1, columns), targets.flatten() - offset
    wide = torch.promote_types(logits.dtype, torch.float32)
    here = (wanted >= 0) & (wanted < columns)
    column = torch.where(here, wanted, 0)[:, None]
    highest = torch.empty(len(flat), dtype=wide, device=flat.device)
    place = torch.empty(len(flat), dtype=torch.int64, device=flat.device)
    step = max(1, LOGITS_AT_ONCE // columns)
    parts = [slice(start, start + step) for start in range(0, len(flat), step)]
    for some in parts:
        highest[some], place[some] = (flat[some].to(wide) / temperature).max(-1)
    place += offset
    if split is not None:
        own = highest.clone()
        dist.all_reduce(highest, dist.ReduceOp.MAX, group=split)
        place = torch.where(own == highest, place, torch.iinfo(torch.int64).max)
        dist.all_reduce(place, dist.ReduceOp.MIN, group=split)
    # The variance is a difference of squares.
    sums = torch.empty(5, len(flat), dtype=torch.float64, device=flat.device)
    for some in parts:
        z = (flat[some].to(wide) / temperature).sub_(highest[some, None]).double()
        target = torch.where(here[some], z.gather(1, column[some])[:, 0], 0)
        chances = z.exp()
        weighted = chances * z
        sums[0, some], sums[1, some], sums[4, some] = chances.sum(-1), weighted.sum(-1), target
        sums[2, some], sums[3, some] = weighted.mul_(z).sum(-1), chances.square_().sum(-1)
    if split is not None:
        dist.all_reduce(sums, group=split)
    total, first, second, squares, target = sums
    log_total, mean = total.log(), first / total
    variance = (second / total - mean * mean).clamp_min(0)
    found = [target - log_total, place.double(), -log_total, mean - log_total, variance, squares / total / total]
    return torch.stack(found, dim=-1).view(*targets.shape, len(COLUMNS))
