"""Translations against references, by sacrebleu: chrF of a sentence, BLEU of a sentence and of a whole set."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from altiplano.evaluation.statistics import CONFIDENCE, Mean
from altiplano.optional_imports import extra

RESAMPLES = 1000


def chrf(text: str, references: Sequence[str]) -> float:
    """Character n-gram F-score of a translation, 0 to 1 (Popović 2015)."""
    sacrebleu = extra("sacrebleu", "evaluation", "translation")
    return float(sacrebleu.sentence_chrf(text, list(references)).score) / 100


def sentence_bleu(text: str, references: Sequence[str]) -> float:
    """BLEU of one sentence, 0 to 1, with the orders that it is long enough for: for paired tests, not for reports."""
    sacrebleu = extra("sacrebleu", "evaluation", "translation")
    return float(sacrebleu.sentence_bleu(text, list(references)).score) / 100


def corpus_bleu(texts: Sequence[str], references: Sequence[Sequence[str]], clusters: Sequence[str]) -> Mean:
    """BLEU of all sentences together, 0 to 1 (Papineni et al. 2002, as sacrebleu tokenizes and smooths; Post 2018).

    The interval is of resampled clusters (Koehn 2004), with a fixed seed.
    """
    metrics = extra("sacrebleu.metrics", "evaluation", "translation")
    metric = metrics.BLEU()
    # matching n-grams of each order, n-grams of each order, and both lengths: BLEU needs nothing but their sums
    one = [metric.sentence_score(text, list(some)) for text, some in zip(texts, references, strict=True)]
    counts = np.array([[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in one])
    _, owner = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((owner.max() + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(sums, owner, counts)

    def bleu(total: np.ndarray) -> float:
        order = (len(total) - 2) // 2
        found = metrics.BLEU.compute_bleu(
            total[:order].tolist(), total[order:-2].tolist(), int(total[-2]), int(total[-1]), smooth_method="exp"
        )
        return float(found.score) / 100

    number = len(sums)
    weights = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), size=RESAMPLES)
    drawn = np.array([bleu(total) for total in weights @ sums])
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    low, high = np.quantile(drawn, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Mean(bleu(sums.sum(axis=0)), float(high - low) / (2 * z), float(low), float(high), len(texts), number)
