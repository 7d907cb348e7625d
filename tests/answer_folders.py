"""Made-up answers to benchmarks, and folders as ``altiplano evaluate`` writes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from altiplano.benchmarks.answers import Answer, write_answers
from altiplano.calibration.answers.choices import Choices
from altiplano.records import Benchmarks, Interval, TaskScore


def simulated(items: int = 400, k: int = 4, sharpening: float = 1.0, seed: int = 0, task: str = "a") -> Choices:
    """Right choices are drawn from the softmax; then scores are sharpened, so T is the sharpening. Of every eight items
    the first has a choice fewer."""
    random = torch.Generator().manual_seed(seed)
    scores = torch.randn(items, k, generator=random, dtype=torch.float64) * 1.5
    scores[::8, -1] = -torch.inf
    gold = torch.multinomial(scores.softmax(-1), 1, generator=random)[:, 0]
    return Choices(scores * sharpening, gold, np.array([task] * items), np.arange(items))


def answered(choices: Choices, question: str = "question", lengths: Sequence[int] | None = None) -> list[Answer]:
    """Items whose sum of log-likelihoods is the score; ``lengths`` [n] of their choices, in characters."""
    found = []
    for place, (scores, gold) in enumerate(zip(choices.scores.tolist(), choices.gold.tolist(), strict=True)):
        logprobs = [value for value in scores if np.isfinite(value)]
        texts = [f"answer {place} {choice} of {question}" for choice in range(len(logprobs))]
        size = len(logprobs)
        found.append(
            Answer(
                task=str(choices.task[place]),
                item=str(place),
                cluster=str(place),
                prompt=f"Think.\n\n{question.capitalize()} {place}?\nAnswer:",
                choices=[" " + text for text in texts],
                gold=gold,
                logprobs=logprobs,
                tokens=[3] * size,
                lengths=[len(text) for text in texts] if lengths is None else [lengths[place]] * size,
                bytes=[len(text) + 1 for text in texts],
            )
        )
    return found


def evaluated(folder: Path, names: Sequence[str], sharpening: float = 3.0) -> None:
    """Write 400 answers to each task, in two files."""
    for seed, name in enumerate(names):
        answers = answered(simulated(sharpening=sharpening, seed=seed, task=name), name)
        (folder / "answers" / name).mkdir(parents=True)
        write_answers(folder / "answers" / name / "000000.parquet", answers[:128])
        write_answers(folder / "answers" / name / "000128.parquet", answers[128:])
    half = Interval(value=0.5, low=0.4, high=0.6)
    score = TaskScore(metric="accuracy", score=half, standard_error=0.1, items=400, clusters=400)
    Benchmarks(model="tiny", tasks=dict.fromkeys(names, score)).write(folder / "benchmarks.json")
