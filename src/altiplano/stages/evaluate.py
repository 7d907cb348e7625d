"""Evaluate: bits per byte per domain and language with confidence intervals, and the gap to training text."""

from altiplano.stages.stage import Context, Result, Stage


def run(context: Context) -> Result:
    from altiplano.evaluation.evaluate import evaluate_folder

    scores = evaluate_folder(
        context.inputs["train"] / "weights",
        context.inputs["tokenize"],
        sequence=context.recipe.batch.sequence_length,
        settings=context.recipe.evaluation,
        seed=context.recipe.seed,
    )
    scores.write(context.folder / "perplexity.json")
    return Result(scores.total.model_dump(include={"documents", "tokens", "perplexity", "bits_per_byte"}))


STAGE = Stage(
    "evaluate",
    reads=("seed", "batch.sequence_length", "evaluation"),
    inputs=("tokenize", "train"),
    run=run,
    code=("evaluation", "model", "recipe", "tokens"),
)
