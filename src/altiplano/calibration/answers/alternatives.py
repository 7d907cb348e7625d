"""What temperature scaling is compared with, fitted and judged on the same items.

Platt scaling gives a probability that the likeliest choice is right, and none of the others. Vector scaling gives each
place among the choices a factor and an offset of its own: it can undo a preference for a letter, and overfit.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from altiplano.calibration.answers.choices import Choices

RIDGE = 1e-3
"""Pulls vector scaling towards temperature scaling: without it a place that is always wrong has an infinite offset."""


def platt(fitted: Choices, judged: Choices, weights: Tensor) -> Tensor:
    """Confidence [n] in the likeliest choice: logistic regression on its margin over the second (Platt 1999, with his
    targets, which keep the fit finite where all are right). ``weights`` are of ``fitted``."""
    margin, right = _margin(fitted.scores), (fitted.scores.argmax(-1) == fitted.gold).double()
    positive, negative = float((weights * right).sum()), float((weights * (1 - right)).sum())
    targets = torch.where(right > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    scale = float(margin.mean()) or 1.0

    def loss(parameters: Tensor) -> Tensor:
        logits = parameters[0] * margin / scale + parameters[1]
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, weights)

    slope, offset = _minimise(loss, torch.zeros(2, dtype=torch.float64))
    return (slope * _margin(judged.scores) / scale + offset).sigmoid()


def vector_scaled(fitted: Choices, judged: Choices, temperature: float, weights: Tensor) -> Tensor:
    """Logits [n, k] of ``judged`` by vector scaling (Guo et al. 2017) of score / temperature, place by place."""
    places = fitted.scores.shape[1]

    def scaled(scores: Tensor, parameters: Tensor) -> Tensor:
        factor, offset = parameters.view(2, places)
        there = torch.isfinite(scores)
        # Infinities are put back last: 0 times infinity has no gradient.
        tempered = torch.where(there, scores, 0.0) / temperature
        return (tempered * factor + offset).masked_fill(~there, -torch.inf)

    def loss(parameters: Tensor) -> Tensor:
        factor, offset = parameters.view(2, places)
        nll = torch.nn.functional.cross_entropy(scaled(fitted.scores, parameters), fitted.gold, reduction="none")
        return (weights * nll).mean() + RIDGE * ((factor - 1).square().sum() + offset.square().sum())

    start = torch.cat([torch.ones(places), torch.zeros(places)]).double()
    return scaled(judged.scores, _minimise(loss, start))


def _margin(scores: Tensor) -> Tensor:
    best = scores.topk(2, -1).values
    return best[:, 0] - best[:, 1]


def _minimise(loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Of a convex function of a few parameters."""
    parameters = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([parameters], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(parameters)
        value.backward()
        return value

    optimizer.step(closure)
    return parameters.detach()
