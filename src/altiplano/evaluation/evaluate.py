"""Held-out loss per document, with confidence intervals over documents, and the gap to the training text."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from altiplano.evaluation.document_scores import DocumentScore, document_name
from altiplano.evaluation.perplexity import ScoreBatch, describe, pack, score_windows
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
    """Losses in nats [rows, sequence] of a whole model, 0 where nothing is predicted; on the model's device."""
    batch = batch.to(next(model.parameters()).device)
    logits = model(batch.tokens, batch.document).float()
    return F.cross_entropy(
        logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(batch.targets)


@torch.inference_mode()
def document_losses(
    score: ScoreBatch, documents: Sequence[np.ndarray], sequence: int, bos: int, rows: int = 0
) -> np.ndarray:
    """Summed loss in nats (float64) of each document [documents], scored in windows of ``sequence`` tokens, ``rows`` at
    once (0: ``BATCH_TOKENS``)."""
    windows = pack(documents, sequence, bos)
    losses = np.zeros((len(windows), sequence))
    rows = min(len(windows), rows) if rows else max(1, BATCH_TOKENS // sequence)
    for place, scored in score_windows(score, windows, bos, rows, slice(0, rows)):
        losses[place] = scored.double().cpu().numpy()
    # The loss at place i predicts token i + 1, and belongs to the document of that token.
    lengths = np.array([len(document) for document in documents])
    owner = np.repeat(np.arange(len(documents)), lengths)[1:]
    return np.bincount(owner, weights=losses.flatten()[: len(owner)], minlength=len(documents))


@dataclass(frozen=True)
class ShardScores:
    """Documents of a shard, by number, and how well each was predicted."""

    shard: Shard
    numbers: Sequence[int]
    scores: "Scores"


@dataclass(frozen=True)
class FolderScores:
    """All held-out documents of a tokenized folder, and as many training documents; by domain.language."""

    heldout: Mapping[str, ShardScores]
    seen: Mapping[str, ShardScores]
    tokenizer: Tokenizer
    sequence: int


def evaluate_folder(
    weights: Path, tokens: Path, *, sequence: int, settings: EvaluationConfig, seed: int, device: str = "cpu"
) -> Evaluation:
    """Score a trained model on the held-out shards of a tokenized folder, on ``device``."""
    scored = score_folder(weights, tokens, sequence=sequence, seed=seed, device=device)
    return summarise_folder(scored, settings, seed)


def score_folder(weights: Path, tokens: Path, *, sequence: int, seed: int, device: str = "cpu") -> FolderScores:
    """``score_shards`` by the model in ``weights``, on ``device``."""
    model = load_model(weights).to(device)
    return score_shards(lambda batch: model_losses(model, batch), tokens, sequence=sequence, seed=seed)


def score_shards(score: ScoreBatch, tokens: Path, *, sequence: int, seed: int, rows: int = 0) -> FolderScores:
    """Every held-out document, and of each group as many training documents, chosen by seed; ``rows`` windows at
    once."""
    tokenizer = Tokenizer.load(tokens / "tokenizer")
    heldout = {shard.name: shard for shard in read_shards(tokens, "heldout")}
    train = {shard.name: shard for shard in reversed(read_shards(tokens, "train"))}  # of several of a group the first

    def scored(shard: Shard, numbers: Sequence[int]) -> ShardScores:
        return ShardScores(shard, numbers, score_shard(score, shard, numbers, sequence, tokenizer.bos, rows))

    unseen, seen = {}, {}
    for name, shard in track(sorted(heldout.items()), "held-out text", len(heldout)):
        unseen[name] = scored(shard, range(len(shard)))
    for name in track([name for name in sorted(heldout) if name in train], "training text", len(heldout)):
        seen[name] = scored(train[name], matching_sample(train[name], len(heldout[name]), seed))
    return FolderScores(unseen, seen, tokenizer, sequence)


def summarise_folder(scored: FolderScores, settings: EvaluationConfig, seed: int) -> Evaluation:
    samples = settings.bootstrap_samples
    groups = {name: one.scores.summary(samples, seed) for name, one in scored.heldout.items()}
    gap = {}
    for domain in sorted({one.shard.domain for one in scored.heldout.values()}):
        names = [name for name, one in scored.heldout.items() if one.shard.domain == domain and name in scored.seen]
        if names:
            unseen = Scores.merge([scored.heldout[name].scores for name in names])
            seen = Scores.merge([scored.seen[name].scores for name in names])
            gap[domain] = seen_unseen_gap(seen, unseen, samples, seed)
    total = Scores.merge([one.scores for one in scored.heldout.values()]).summary(samples, seed)
    return Evaluation(groups=groups, total=total, train_gap=gap)


def document_scores(scored: FolderScores) -> Iterator[DocumentScore]:
    """Of the held-out documents."""
    window = scored.sequence
    for name, one in scored.heldout.items():
        for place, number in enumerate(one.numbers):
            # the text, as another tokenizer's shards would have it
            text = scored.tokenizer.decode(one.shard.document(number).tolist()).encode()
            of = one.scores
            nll, tokens, size = float(of.nll[place]), int(of.tokens[place]), int(of.bytes[place])
            yield DocumentScore(name, document_name(text), nll, tokens, size, window, window)


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


def score_shard(
    score: ScoreBatch, shard: Shard, numbers: Sequence[int], sequence: int, bos: int, rows: int = 0
) -> Scores:
    documents = [shard.document(number) for number in numbers]
    nll = document_losses(score, documents, sequence, bos, rows)
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
