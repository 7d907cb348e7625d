"""Cross-entropy against PyTorch's own, in float64 and in the bfloat16 that it is for."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from altiplano.tokens.loader import IGNORED
from altiplano.training import loss
from altiplano.training.loss import token_losses


def case(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits from uncertain to all but certain of the target [3, 7, 29], and targets of which some are ignored."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 7, 29, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 29, (3, 7), generator=generator)
    certainty = torch.linspace(0, 12, 21, dtype=torch.float64).view(3, 7, 1)
    logits.scatter_add_(2, targets[..., None], certainty)
    targets[1, 2:5] = IGNORED
    return logits.to(dtype).requires_grad_(), targets


@pytest.fixture(params=["pieces", "whole"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By pieces as on a CPU, or with the functions that a GPU compiles, here as they are written."""
    if request.param == "whole":
        monkeypatch.setattr(loss, "_is_fused", lambda flat: True)
        monkeypatch.setattr(loss, "_compiled", lambda function: function)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("chunk", [1, 29 * 4, 29 * 100])
def test_losses_and_gradients_are_pytorchs(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "CHUNK", chunk)
    logits, targets = case(torch.float64)
    weight = torch.linspace(-1, 2, 21, dtype=torch.float64).view(3, 7)
    ours = token_losses(None)(logits, targets)
    theirs = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    torch.testing.assert_close(ours.flatten(), theirs, rtol=1e-12, atol=1e-12)
    (mine,) = torch.autograd.grad((ours * weight).sum(), logits)
    (reference,) = torch.autograd.grad((theirs.view(3, 7) * weight).sum(), logits)
    torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-13)
    assert torch.autograd.gradcheck(lambda x: token_losses(None)(x, targets), logits)


@pytest.mark.usefixtures("way")
def test_bfloat16_logits_lose_only_their_own_rounding() -> None:
    """Losses are float32; the gradient at a target of probability close to 1 does not vanish in rounding."""
    logits, targets = case(torch.bfloat16)
    exact = logits.detach().double().requires_grad_()
    ours = token_losses(None)(logits, targets)
    theirs = F.cross_entropy(exact.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.flatten().double(), theirs, rtol=1e-5, atol=1e-6)
    (mine,), (reference,) = torch.autograd.grad(ours.sum(), logits), torch.autograd.grad(theirs.sum(), exact)
    torch.testing.assert_close(mine.double(), reference, rtol=2**-7, atol=1e-30)


def test_a_rank_with_a_part_of_the_vocabulary_has_its_part_of_the_gradient() -> None:
    """Both ways, where the normaliser is of all ranks' logits and some targets are on another rank."""
    logits, targets = case(torch.float64)
    flat, target = logits.detach().flatten(0, 1), targets.flatten()
    here = (target != IGNORED) & (target % 3 != 0)
    column = torch.where(here, target, 0)[:, None]
    scale, at_target = torch.linspace(0.1, 1, 21, dtype=torch.float64), torch.linspace(-1, 0, 21, dtype=torch.float64)
    own = flat.logsumexp(-1)
    of_all = own + 0.7
    whole = loss._gradient(flat, torch.where(here, target, -1), scale, at_target, of_all)
    factor = scale * (own - of_all).exp()
    pieces = loss._gradient_by_chunks(flat, column, here, factor[:, None], at_target[:, None])
    torch.testing.assert_close(whole, pieces, rtol=1e-12, atol=1e-14)
    assert torch.equal(whole[here].gather(1, column[here])[:, 0], at_target[here])


@pytest.mark.usefixtures("way")
def test_nothing_but_ignored_targets_is_no_loss_and_no_gradient() -> None:
    logits, targets = case(torch.bfloat16)
    losses = token_losses(None)(logits, torch.full_like(targets, IGNORED))
    assert losses.sum() == 0
    assert not torch.autograd.grad(losses.sum(), logits)[0].any()


def head_case(dtype: torch.dtype, words: int = 300) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states [3, 7, 16], a head [words, 16] and targets, of which some are ignored."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(3, 7, 16, generator=generator, dtype=torch.float64).to(dtype)
    weight = torch.randn(words, 16, generator=generator, dtype=torch.float64).to(dtype)
    targets = torch.randint(0, words, (3, 7), generator=generator)
    targets[1, 2:5] = IGNORED
    return hidden.requires_grad_(), weight.requires_grad_(), targets


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("chunks", [1, 2, 3, 50])
def test_a_head_in_pieces_has_the_losses_and_gradients_of_one_in_one(chunks: int) -> None:
    hidden, weight, targets = head_case(torch.float64)
    upstream = torch.linspace(-1, 2, 21, dtype=torch.float64).view(3, 7)
    ours = token_losses(None).of_hidden(hidden, weight, targets, chunks)
    theirs = token_losses(None)(hidden @ weight.T, targets)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
    mine = torch.autograd.grad((ours * upstream).sum(), (hidden, weight))
    reference = torch.autograd.grad((theirs * upstream).sum(), (hidden, weight))
    for one, other in zip(mine, reference, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("way")
def test_a_head_in_pieces_rounds_no_more_than_one_in_one() -> None:
    """In bfloat16, beside float64 with the same operands: the weight's gradient is rounded once, and what each piece
    adds to the hidden states' once before the sum is."""
    hidden, weight, targets = head_case(torch.bfloat16)
    exact = [one.detach().double().requires_grad_() for one in (hidden, weight)]
    losses = token_losses(None)
    whole = torch.autograd.grad(losses(hidden @ weight.T, targets).sum(), (hidden, weight))
    pieces = torch.autograd.grad(losses.of_hidden(hidden, weight, targets, 3).sum(), (hidden, weight))
    reference = torch.autograd.grad(losses(exact[0] @ exact[1].T, targets).sum(), exact)
    for one, other, true, times in zip(pieces, whole, reference, (1.2, 1.05), strict=True):
        assert (one - true).norm() < times * (other - true).norm()


def test_only_a_piece_of_the_logits_is_there() -> None:
    """The largest tensor of a step, but for the weight and its gradient."""
    words, tokens = 6400, 512
    largest = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = operator(*args, **(kwargs or {}))
            largest.extend(one.numel() for one in tree_leaves(found) if isinstance(one, Tensor))
            return found

    hidden, weight = torch.randn(1, tokens, 8, requires_grad=True), torch.randn(words, 8, requires_grad=True)
    targets = torch.randint(0, words, (1, tokens))
    with Sizes():
        token_losses(None).of_hidden(hidden, weight, targets, 10).sum().backward()
    assert max(largest) == tokens * words // 10
