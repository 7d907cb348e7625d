"""What ``altiplano evaluate`` left in a folder, read again: the scores, and every item's answer."""

from glob import escape
from pathlib import Path

from altiplano.benchmarks.answers import ANSWERS, RESULT, Answer, read_answers
from altiplano.errors import InputError
from altiplano.records import Benchmarks
from altiplano.storage import Damaged


def read_evaluation(folder: Path) -> tuple[Benchmarks, dict[str, list[Answer]]]:
    """The scores and, of each task that they are of, the answers that were scored.

    Raises InputError when the folder has no whole evaluation.
    """
    try:
        result = Benchmarks.read(folder / RESULT)
    except (OSError, Damaged) as error:
        raise InputError(
            f"{folder} has no {RESULT} that can be read: evaluate a model first: "
            f"altiplano evaluate MODEL TASK --output {folder}"
        ) from error
    return result, {name: _answers(folder, name, score.items) for name, score in result.tasks.items()}


def _answers(folder: Path, task: str, items: int) -> list[Answer]:
    """Of all items, or of some other ``--limit``: those of as many items as were scored."""
    counts = []
    for place in [folder / ANSWERS / task, *sorted((folder / ANSWERS).glob(f"{escape(task)}@*"))]:
        try:
            found = read_answers(sorted(place.glob("*.parquet")))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{place} has a damaged file ({error}): remove it and evaluate again") from error
        if len(found) == items:
            return found
        counts.append(len(found))
    raise InputError(
        f"{folder} has {max(counts):,} answers to {task}, {RESULT} counts {items:,}: evaluate again: "
        f"altiplano evaluate MODEL TASK --output {folder}"
    )
