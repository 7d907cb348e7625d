"""What ``altiplano evaluate`` left in a folder, read again: the scores, and every item's answer."""

from pathlib import Path

from altiplano.benchmarks.answers import Answer, read_answers
from altiplano.benchmarks.run import ANSWERS, RESULT
from altiplano.errors import InputError
from altiplano.records import Benchmarks
from altiplano.storage import Damaged


def read_evaluation(folder: Path) -> tuple[Benchmarks, dict[str, list[Answer]]]:
    """The answers of each task that ``benchmarks.json`` names, each item once, whatever ``--limit`` it was asked with.

    Raises InputError when the folder has no whole evaluation.
    """
    again = f"altiplano evaluate MODEL TASK --output {folder}"
    try:
        result = Benchmarks.read(folder / RESULT)
    except (OSError, Damaged) as error:
        raise InputError(f"{folder} has no {RESULT} that can be read: evaluate a model first: {again}") from error
    found: dict[str, dict[str, Answer]] = {}
    try:
        for answer in read_answers(sorted((folder / ANSWERS).glob("*/*.parquet"))):
            found.setdefault(answer.task, {}).setdefault(answer.item, answer)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder / ANSWERS} has a damaged file ({error}): remove it and evaluate again") from error
    for name, score in result.tasks.items():
        if len(found.get(name, {})) < score.items:
            raise InputError(
                f"{folder} has {len(found.get(name, {})):,} answers to {name}, {RESULT} counts {score.items:,}: "
                f"evaluate again: {again}"
            )
    return result, {name: list(found[name].values()) for name in result.tasks}
