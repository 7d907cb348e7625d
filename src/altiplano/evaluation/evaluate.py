"""Held-out loss per document, with confidence intervals over documents, and the gap to the training text."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from altiplano.evaluation.document_scores import DocumentScore, document_name, write_document_scores
from altiplano.evaluation.perplexity import describe, pack, score_windows
from altiplano.model.llama import Llama
from altiplano.model.weights import load_model
from altiplano.progress import track
from altiplano.recipe.schema import EvaluationConfig
from altiplano.records import Evaluation, GroupScores, TrainGap
from altiplano.tokens.loader import IGNORED, Batch
from altiplano.tokens.shards import Shard, read_shards
from altiplano.tokens.tokenizer import Tokenizer

BATCH_TOKENS = 4096
CONFIDENCE = 0.95


def model_losses(model: Llama, batch: Batch) -> Tensor:
    """Losses in nats [rows, sequence] of a whole model, 0 where nothing is predicted."""
    logits = model(batch.tokens, batch.document).float()
    return F.cross_entropy(
        logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(batch.targets)


@torch.inference_mode()
def document_losses(model: Llama, documents: Sequence[np.ndarray], sequence: int, bos: int) -> np.ndarray:
    """Summed loss in nats (float64) of each document [documents], scored in windows of ``sequence`` tokens."""
    windows = pack(documents, sequence, bos)
    losses = np.zeros((len(windows), sequence))
    rows = max(1, BATCH_TOKENS // sequence)
    for place, scored in score_windows(lambda batch: model_losses(model, batch), windows, bos, rows, slice(0, rows)):
        losses[place] = scored.double().numpy()
    # The loss at place i predicts token i + 1, and belongs to the document of that token.
    lengths = np.array([len(document) for document in documents])
    owner = np.repeat(np.arange(len(documents)), lengths)[1:]
    return np.bincount(owner, weights=losses.flatten()[: len(owner)], minlength=len(documents))


def evaluate_folder(
    weights: Path,
    tokens: Path,
    *,
    sequence: int,
    settings: EvaluationConfig,
    seed: int,
    documents: Path | None = None,
) -> Evaluation:
    """Score a trained model on the held-out shards of a tokenized folder; the single documents go to ``documents``."""
    model, tokenizer = load_model(weights), Tokenizer.load(tokens / "tokenizer")
    heldout = {shard.name: shard for shard in read_shards(tokens, "heldout")}
    train = {shard.name: shard for shard in reversed(read_shards(tokens, "train"))}  # of several of a group the first
    scored: dict[str, Scores] = {}
    for name, shard in track(sorted(heldout.items()), "held-out text", len(heldout)):
        scored[name] = score_shard(model, shard, range(len(shard)), sequence, tokenizer.bos)
    if documents is not None:
        single = [one for name, scores in scored.items() for one in _single(heldout[name], scores, tokenizer, sequence)]
        write_document_scores(documents, single)
    groups = {name: scores.summary(settings.bootstrap_samples, seed) for name, scores in scored.items()}
    gap = {}
    domains = sorted({shard.domain for shard in heldout.values()})
    for domain in track(domains, "training text", len(domains)):
        names = [name for name, shard in sorted(heldout.items()) if shard.domain == domain and name in train]
        unseen = Scores.merge([scored[name] for name in names])
        seen = Scores.merge(
            [
                score_shard(
                    model, train[name], matching_sample(train[name], len(heldout[name]), seed), sequence, tokenizer.bos
                )
                for name in names
            ]
        )
        gap[domain] = seen_unseen_gap(seen, unseen, settings.bootstrap_samples, seed)
    total = Scores.merge(list(scored.values())).summary(settings.bootstrap_samples, seed)
    return Evaluation(groups=groups, total=total, train_gap=gap)


def _single(shard: Shard, scores: "Scores", tokenizer: Tokenizer, sequence: int) -> Iterator[DocumentScore]:
    for number in range(len(shard)):
        # the text, as another tokenizer's shards would have it
        text = tokenizer.decode(shard.document(number).tolist()).encode()
        nll, tokens, size = float(scores.nll[number]), int(scores.tokens[number]), int(scores.bytes[number])
        yield DocumentScore(shard.name, document_name(text), nll, tokens, size, sequence, sequence)


def matching_sample(shard: Shard, documents: int, seed: int) -> list[int]:
    """As many training documents as there are held-out ones, chosen by seed."""
    generator = np.random.default_rng([seed, len(shard)])
    return sorted(generator.choice(len(shard), size=min(documents, len(shard)), replace=False).tolist())


class Scores:
    """Loss, predicted tokens and text bytes of single documents."""

    def __init__(self, nll: np.ndarray, tokens: np.ndarray, text_bytes: np.ndarray):
        self.nll, self.tokens, self.bytes = nll, tokens, text_bytes

    @classmethod
    def merge(cls, parts: Sequence["Scores"]) -> "Scores":
        columns = ("nll", "tokens", "bytes")
        return cls(*(np.concatenate([getattr(part, column) for part in parts]) for column in columns))

    def bits_per_byte(self) -> float:
        return float(self.nll.sum() / math.log(2) / self.bytes.sum())

    def bootstrap(self, samples: int, seed: int) -> np.ndarray:
        """Bits per byte of ``samples`` resamples of the documents (Efron 1979): documents vary, not single tokens."""
        generator = np.random.default_rng(seed)
        chosen = generator.integers(0, len(self.nll), size=(samples, len(self.nll)))
        return self.nll[chosen].sum(axis=1) / math.log(2) / self.bytes[chosen].sum(axis=1)

    def summary(self, samples: int, seed: int) -> GroupScores:
        low, high = interval(self.bootstrap(samples, seed))
        described = describe(float(self.nll.sum()), int(self.tokens.sum()), int(self.bytes.sum()))
        return GroupScores(
            **described.model_dump(), documents=len(self.nll), bits_per_byte_low=low, bits_per_byte_high=high
        )


def score_shard(model: Llama, shard: Shard, numbers: Sequence[int], sequence: int, bos: int) -> Scores:
    documents = [shard.document(number) for number in numbers]
    nll = document_losses(model, documents, sequence, bos)
    return Scores(nll, np.array([len(d) - 1 for d in documents]), shard.document_bytes[list(numbers)])


def seen_unseen_gap(seen: Scores, unseen: Scores, samples: int, seed: int) -> TrainGap:
    """Bits per byte of held-out minus training text; the interval is of the difference of independent bootstraps."""
    low, high = interval(unseen.bootstrap(samples, seed) - seen.bootstrap(samples, seed + 1))
    train, heldout = seen.bits_per_byte(), unseen.bits_per_byte()
    return TrainGap(train=train, heldout=heldout, gap=heldout - train, low=low, high=high)


def interval(samples: np.ndarray) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)
