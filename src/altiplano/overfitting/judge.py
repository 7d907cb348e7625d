"""All tests of a trained run, in one record."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.item import Contamination, Task
from altiplano.errors import InputError
from altiplano.evaluation.evaluate import FolderScores
from altiplano.overfitting.contamination import contamination_tests
from altiplano.overfitting.training_text import gap_tests, repetition_test
from altiplano.overfitting.trend import heldout_tests, rises
from altiplano.overfitting.verdict import untold
from altiplano.recipe.schema import Recipe
from altiplano.records import Evaluation, HeldoutScores, Overfitting, OverfittingTest
from altiplano.storage import ABSENT, Damaged
from altiplano.tokens.shards import read_shards
from altiplano.tokens.training_data import TrainingData


def judge(
    recipe: Recipe,
    tokens: Path,
    train: Path,
    evaluation: Evaluation,
    scores: FolderScores,
    tasks: Sequence[Task],
    answers: Sequence[Sequence[Answer]],
    contamination: Mapping[str, Contamination],
) -> Overfitting:
    """``tokens`` and ``train`` are the folders of their stages; ``answers`` and ``contamination`` are those of each
    task."""
    margin = recipe.evaluation.overfitting_margin
    heldout = HeldoutScores.read_lines(train / "heldout.jsonl")
    tests = [
        *gap_tests(evaluation.train_gap, scores, margin),
        *heldout_tests(heldout, margin),
        *_contamination(recipe, tasks, answers, contamination),
        repetition_test(scores, _order(recipe, tokens, scores), _samples(recipe), margin),
    ]
    return Overfitting(margin=margin, tests=tests, rises=rises(heldout))


def _contamination(
    recipe: Recipe,
    tasks: Sequence[Task],
    answers: Sequence[Sequence[Answer]],
    contamination: Mapping[str, Contamination],
) -> list[OverfittingTest]:
    if not tasks:
        return [untold("contamination", "all", "", "no benchmarks: name some in evaluation.benchmarks")]
    margin = recipe.evaluation.overfitting_margin
    return contamination_tests(tasks, answers, contamination, margin, recipe.corpus.benchmarks)


def _order(recipe: Recipe, tokens: Path, scores: FolderScores) -> TrainingData | None:
    """None where it cannot be made of these shards, since training had others, or where trainings before this one
    have read them in an order of their own. Raises InputError where their list is damaged or a disk fails: shards are
    there, and unread."""
    if recipe.batch.from_tokens:
        return None
    try:
        shards = read_shards(tokens, "train")
        return TrainingData(shards, recipe.batch.sequence_length, scores.tokenizer.bos, recipe.seed, recipe.mixture)
    except InputError as error:
        if isinstance(error.__cause__, (OSError, Damaged)) and not isinstance(error.__cause__, ABSENT):
            raise
        return None


def _samples(recipe: Recipe) -> int:
    return recipe.batch.samples(recipe.batch.steps - 1).stop
