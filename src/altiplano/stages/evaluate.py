"""Evaluate: bits per byte per domain and language, the gap to training text, and benchmarks, all with intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from altiplano.records import Benchmarks
from altiplano.records.benchmarks import IN_EVALUATE
from altiplano.stages.stage import Context, Result, Stage
from altiplano.storage import json_digest

if TYPE_CHECKING:
    from altiplano.benchmarks.item import Contamination, Task
    from altiplano.inference.language_model import LanguageModel


def run(context: Context) -> Result:
    from altiplano.stages.scoring import asking_trained_model

    return asking_trained_model("evaluate", _evaluate, context)


def _evaluate(context: Context, served: "LanguageModel") -> Result:
    from altiplano.benchmarks.run import answers_in
    from altiplano.evaluation.document_scores import FILE, write_document_scores
    from altiplano.evaluation.evaluate import document_scores, score_shards, summarise_folder
    from altiplano.overfitting.judge import judge

    weights, tokens = context.trained / "weights", context.inputs["tokenize"]
    settings, seed, sequence = context.recipe.evaluation, context.recipe.seed, context.recipe.batch.sequence_length
    scored = score_shards(served.losses, tokens, sequence=sequence, seed=seed, rows=served.windows_at_once)
    evaluation = summarise_folder(scored, settings, seed)
    evaluation.write(context.folder / "perplexity.json")
    write_document_scores(context.folder / FILE, [*document_scores(scored)])
    counts = evaluation.total.model_dump(include={"documents", "tokens", "perplexity", "bits_per_byte"})
    tasks: Sequence[Task] = ()
    contamination: dict[str, Contamination] = {}
    if settings.benchmarks:
        from altiplano.benchmarks.contamination import find_contamination, training_text
        from altiplano.benchmarks.readers.read import read_all
        from altiplano.benchmarks.run import evaluate_tasks
        from altiplano.inference.language_model import model_fingerprint

        tasks = read_all(settings.benchmarks)
        contamination = find_contamination(tasks, training_text(context.inputs["curate"], settings.contamination_bytes))
        found = evaluate_tasks(
            served,
            tasks,
            context.folder / IN_EVALUATE,
            name=context.recipe.name,
            fingerprint=model_fingerprint(weights),
            contamination=contamination,
        )
        counts["benchmark_items"] = _items(found)
    answers = [answers_in(context.folder / IN_EVALUATE, task) for task in tasks]
    overfitting = judge(context.recipe, tokens, context.trained, evaluation, scored, tasks, answers, contamination)
    overfitting.write(context.folder / "overfitting.json")
    counts["overfitting_shown"] = sum(test.verdict == "shown" for test in overfitting.tests)
    return Result(counts)


def _items(found: Benchmarks) -> int:
    return sum(score.items for score in found.tasks.values())


def _benchmark_data(context: Context) -> str:
    """Changes when the benchmarks' files do."""
    if not context.recipe.evaluation.benchmarks:
        return ""
    from altiplano.benchmarks.readers.read import read_all

    return json_digest([[task.name, task.digest] for task in read_all(context.recipe.evaluation.benchmarks)])


STAGE = Stage(
    "evaluate",
    reads=("seed", "batch", "mixture", "evaluation", "corpus.benchmarks"),
    inputs=("curate", "tokenize", "train"),
    run=run,
    code=(
        "benchmarks",
        "corpus",
        "evaluation",
        "execution",
        "inference",
        "model",
        "overfitting",
        "parallel",
        "recipe",
        "tokens",
        "training",
    ),
    sources=_benchmark_data,
    distributed=True,
)
