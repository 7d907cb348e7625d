"""What a model predicts before each token of some text: from its hidden states here, or asked for over a mesh."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from altiplano.calibration.windows import Window
from altiplano.inference.language_model import LanguageModel, LocalModel
from altiplano.inference.log_probabilities import hidden_rows
from altiplano.inference.mesh_model import MeshModel
from altiplano.model.llama import Llama
from altiplano.parallel.distributions import COLUMNS
from altiplano.progress import track

LOGITS_AT_ONCE = 2**22  # 16 MB in float32: stays in the processor's cache


@dataclass(frozen=True)
class Derivatives:
    """Sums over each document's tokens [documents], float64: the NLL and its two derivatives by β."""

    nll: Tensor
    first: Tensor
    second: Tensor


@dataclass(frozen=True)
class Judged:
    """Of each of n tokens at one temperature: the model's top probability and whether it was right, the loss in nats,
    the Brier score Σ_k (p_k − [k = y])² (Brier 1950), and the token it thought likeliest."""

    confidence: Tensor
    correct: Tensor
    nll: Tensor
    brier: Tensor
    likeliest: Tensor

    def of(self, chosen: Tensor) -> "Judged":
        return Judged(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @staticmethod
    def joined(parts: Sequence["Judged"]) -> "Judged":
        return Judged(*(torch.cat([getattr(one, name) for one in parts]) for name in Judged.__dataclass_fields__))


class Predictions(ABC):
    """All that a model predicts before each of n tokens of some documents."""

    targets: Tensor
    document: Tensor
    """Number of the document [n], counting documents of this half from 0."""
    groups: list[str]
    """Domain × language of every document."""

    @property
    def documents(self) -> int:
        return len(self.groups)

    @abstractmethod
    def of_documents(self, wanted: list[bool]) -> "Predictions":
        """Those of some documents [documents]."""

    @abstractmethod
    def derivatives(self, beta: float) -> Derivatives:
        """At β = 1 / T, in one pass over all tokens."""

    @abstractmethod
    def judge(self, temperatures: list[float]) -> list[Judged]:
        """Every token at every temperature. Softmax in float32."""

    def _renumbered(self, wanted: list[bool], chosen: "Tensor | slice") -> tuple[Tensor, list[str]]:
        """Document of each chosen token, and groups, of the wanted documents alone."""
        numbers = torch.tensor(wanted).cumsum(0) - 1
        groups = [group for group, yes in zip(self.groups, wanted, strict=True) if yes]
        return numbers[self.document[chosen]], groups


@dataclass(frozen=True)
class HiddenStates(Predictions):
    """Final hidden states [n, width] instead of logits [n, vocabulary], and the output matrix [vocabulary, width]."""

    hidden: Tensor
    targets: Tensor
    document: Tensor
    groups: list[str]
    head: Tensor

    def of_documents(self, wanted: list[bool]) -> "HiddenStates":
        """Of neighbours without a copy of their states."""
        mask = torch.tensor(wanted)[self.document]
        places = mask.nonzero()[:, 0]
        together = len(places) > 0 and int(places[-1]) - int(places[0]) == len(places) - 1
        chosen: Tensor | slice = slice(int(places[0]), int(places[-1]) + 1) if together else mask
        return HiddenStates(self.hidden[chosen], self.targets[chosen], *self._renumbered(wanted, chosen), self.head)

    @torch.inference_mode()
    def derivatives(self, beta: float) -> Derivatives:
        sums = torch.zeros(3, self.documents, dtype=torch.float64)
        for place, logits in self._logits():
            # Centred on the largest: the variance below is a difference of squares.
            logits.sub_(logits.amax(-1, keepdim=True))
            target = logits.gather(-1, self.targets[place, None])[:, 0]
            weights = (logits * beta).exp_()
            total = weights.sum(-1)
            weights.mul_(logits)
            mean = weights.sum(-1) / total
            square = weights.mul_(logits).sum(-1) / total
            values = torch.stack([total.log() - beta * target, mean - target, square - mean * mean])
            sums.index_add_(1, self.document[place], values.double())
        return Derivatives(*sums)

    @torch.inference_mode()
    def judge(self, temperatures: list[float]) -> list[Judged]:
        """Makes a token's logits once."""
        count = len(self.targets)
        # Room for the results is made first: small tensors left between large ones would keep the allocator from using
        # the room of one chunk's logits for the next, and memory would grow by a chunk's logits with every chunk.
        numbers = torch.empty(len(temperatures), 3, count)
        guesses = torch.empty(len(temperatures), count, dtype=torch.int64)
        for place, logits in self._logits():
            targets = self.targets[place, None]
            for found, guess, temperature in zip(numbers, guesses, temperatures, strict=True):
                logprobs = (logits / temperature).log_softmax(-1)
                top, guess[place] = logprobs.max(-1)
                nll = -logprobs.gather(-1, targets)[:, 0]
                squares = logprobs.exp_().square_().sum(-1)
                found[:, place] = torch.stack([top.exp(), nll, squares - 2 * (-nll).exp() + 1])
        return [
            Judged(confidence, guess == self.targets, nll, brier, guess)
            for (confidence, nll, brier), guess in zip(numbers, guesses, strict=True)
        ]

    def _logits(self) -> Iterator[tuple[slice, Tensor]]:
        chunk = max(1, LOGITS_AT_ONCE // len(self.head))
        for start in range(0, len(self.targets), chunk):
            place = slice(start, start + chunk)
            yield place, self.hidden[place] @ self.head.T


@dataclass(frozen=True)
class OverMesh(Predictions):
    """Nothing is kept: each pass asks the model over the mesh again, whose ranks share the work on the logits."""

    rows: list[np.ndarray]
    targets: Tensor
    document: Tensor
    groups: list[str]
    model: MeshModel

    def of_documents(self, wanted: list[bool]) -> "OverMesh":
        owners = torch.tensor([int(self.document[start]) for start in self._starts()])
        rows = [row for row, owner in zip(self.rows, owners.tolist(), strict=True) if wanted[owner]]
        mask = torch.tensor(wanted)[self.document]
        return OverMesh(rows, self.targets[mask], *self._renumbered(wanted, mask), self.model)

    def derivatives(self, beta: float) -> Derivatives:
        """By β the logits are T · log p and a constant."""
        found = self._distributions(1 / beta)
        logprob, mean, variance = (found[:, COLUMNS.index(name)] for name in ("logprob", "mean", "variance"))
        values = torch.stack([-logprob, (mean - logprob) / beta, variance / beta**2])
        sums = torch.zeros(3, self.documents, dtype=torch.float64).index_add_(1, self.document, values)
        return Derivatives(*sums)

    def judge(self, temperatures: list[float]) -> list[Judged]:
        return [self._judged(self._distributions(temperature)) for temperature in temperatures]

    def _judged(self, found: Tensor) -> Judged:
        logprob, likeliest, highest, _, _, squares = found.unbind(1)
        guess, nll = likeliest.long(), -logprob
        brier = squares - 2 * logprob.exp() + 1
        return Judged(highest.exp().float(), guess == self.targets, nll.float(), brier.float(), guess)

    def _distributions(self, temperature: float) -> Tensor:
        return torch.cat(self.model.distributions(self.rows, temperature))

    def _starts(self) -> list[int]:
        return np.cumsum([0, *(len(row) - 1 for row in self.rows[:-1])]).tolist()


Predict = Callable[[Sequence[Window], str], Predictions]
"""Windows and what a person sees of the work, to what a model predicts in them."""


def predictor(model: LanguageModel) -> Predict:
    return partial(ask_mesh, model) if isinstance(model, MeshModel) else partial(predict, cast(LocalModel, model).model)


def predict(model: Llama, windows: Sequence[Window], what: str) -> HiddenStates:
    """Run the model once over the windows and keep its hidden states (float32, on the CPU)."""
    total = sum(len(window.tokens) - 1 for window in windows)
    hidden = torch.empty(total, model.shape.hidden_size)
    starts = np.cumsum([0, *(len(window.tokens) - 1 for window in windows)])
    for index, states in track(hidden_rows(model, [window.tokens for window in windows]), what, len(windows)):
        hidden[starts[index] : starts[index + 1]] = states[:-1].float().cpu()
    assert model.lm_head is not None
    return HiddenStates(hidden, *_labels(windows), model.lm_head.weight.detach().float().cpu())


def ask_mesh(model: MeshModel, windows: Sequence[Window], what: str) -> OverMesh:
    return OverMesh([np.asarray(window.tokens, dtype=np.int64) for window in windows], *_labels(windows), model)


def _labels(windows: Sequence[Window]) -> tuple[Tensor, Tensor, list[str]]:
    """Targets and documents of all tokens, and groups of the documents."""
    targets = np.concatenate([window.tokens[1:] for window in windows]).astype(np.int64)
    document = np.repeat([window.document for window in windows], [len(window.tokens) - 1 for window in windows])
    groups = {window.document: window.group for window in windows}
    return torch.from_numpy(targets), torch.from_numpy(document), [groups[i] for i in sorted(groups)]
