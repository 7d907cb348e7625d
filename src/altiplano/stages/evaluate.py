"""Evaluate: bits per byte per domain and language, the gap to training text, and benchmarks, all with intervals."""

from altiplano.records import Benchmarks
from altiplano.stages.stage import Context, Result, Stage
from altiplano.storage import json_digest

ANSWERS = "benchmarks"


def run(context: Context) -> Result:
    from altiplano.evaluation.document_scores import FILE
    from altiplano.evaluation.evaluate import evaluate_folder

    weights, tokens = context.inputs["train"] / "weights", context.inputs["tokenize"]
    settings = context.recipe.evaluation
    scores = evaluate_folder(
        weights,
        tokens,
        sequence=context.recipe.batch.sequence_length,
        settings=settings,
        seed=context.recipe.seed,
        documents=context.folder / FILE,
    )
    scores.write(context.folder / "perplexity.json")
    counts = scores.total.model_dump(include={"documents", "tokens", "perplexity", "bits_per_byte"})
    if settings.benchmarks:
        from altiplano.benchmarks.readers.read import read_all
        from altiplano.benchmarks.run import evaluate_tasks
        from altiplano.inference.language_model import load_language_model, model_fingerprint

        served = load_language_model(weights, tokenizer=tokens / "tokenizer")
        tasks = read_all(settings.benchmarks)
        fingerprint = model_fingerprint(weights)
        found = evaluate_tasks(
            served, tasks, context.folder / ANSWERS, name=context.recipe.name, fingerprint=fingerprint
        )
        counts["benchmark_items"] = _items(found)
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
    reads=("seed", "batch.sequence_length", "evaluation"),
    inputs=("tokenize", "train"),
    run=run,
    code=("benchmarks", "evaluation", "inference", "model", "recipe", "tokens"),
    sources=_benchmark_data,
)
