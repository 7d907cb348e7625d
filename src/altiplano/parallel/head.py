"""The head and the loss in pieces of the vocabulary, applied from outside: no device ever holds all logits.

At a vocabulary of 128,256 they are the largest activation of all: 4.2 GB with their gradient for 8,192 tokens.
"""

from typing import Protocol

from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Replicate

from altiplano.model.llama import Llama


class HeadLosses(Protocol):
    """Losses [rows, tokens], reduced over the tensor-parallel group inside: of local logits, or of the hidden states
    and the head's local weight, in so many pieces."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor: ...
    def of_hidden(self, hidden: Tensor, weight: Tensor, targets: Tensor, chunks: int) -> Tensor: ...


def give_losses(model: Llama, losses: HeadLosses, chunks: int) -> None:
    """Let the head of ``model`` take targets and give their losses instead of logits."""
    head = model.lm_head
    if head is None:
        return

    def forward(hidden: Tensor, targets: Tensor) -> Tensor:
        weight = head.weight
        if not isinstance(weight, DTensor) or not isinstance(hidden, DTensor):
            return losses.of_hidden(hidden, weight, targets, chunks)
        # Of the gradient of hidden states every rank has what its part of the vocabulary adds.
        mine = hidden.to_local(grad_placements=[Partial()])
        found = losses.of_hidden(mine, weight.to_local(), targets, chunks)
        return DTensor.from_local(found, weight.device_mesh, [Replicate()], run_check=False)

    head.forward = forward  # type: ignore[assignment, method-assign]
