"""Calibrate: one temperature for tokens, one for answers to benchmarks, and how reliable probabilities are."""

import sys
from typing import Any

from altiplano.benchmarks.evaluated import read_evaluation
from altiplano.calibration.answers.calibrate import FILE, calibrate_answers
from altiplano.calibration.calibrate import calibrate
from altiplano.errors import InputError
from altiplano.inference.rounding import rounded
from altiplano.model.weights import load_model
from altiplano.records.benchmarks import IN_EVALUATE
from altiplano.stages.stage import Context, Result, Stage
from altiplano.storage import read_json
from altiplano.tokens.shards import read_shards


def run(context: Context) -> Result:
    weights = context.inputs["train"] / "weights"
    length = int(read_json(weights / "config.json")["max_position_embeddings"])
    shards = read_shards(context.inputs["tokenize"], "heldout")
    model = load_model(weights).to(context.cluster.device)
    found = rounded(calibrate(model, shards, length, context.recipe.calibration, context.recipe.seed))
    counts: dict[str, Any] = {
        "temperature": found.temperature,
        "fit_tokens": found.fit.tokens,
        "test_tokens": found.test.tokens,
    }
    evaluated = context.inputs["evaluate"] / IN_EVALUATE
    if evaluated.exists():
        result, answers = read_evaluation(evaluated)
        settings, seed = context.recipe.calibration, context.recipe.seed
        try:
            fitted = calibrate_answers(
                answers,
                bins=settings.bins,
                samples=settings.bootstrap_samples,
                seed=seed,
                model=result.model,
                fingerprint=result.fingerprint,
            )
        except InputError as error:  # these benchmarks do not allow it, which is no fault of the run
            print(f"calibrate: no answer temperature: {error}", file=sys.stderr)
            counts["answer_temperature"] = f"none: {error}"
        else:
            fitted = rounded(fitted)
            fitted.write(context.folder / FILE)
            found = found.model_copy(update={"answer_temperature": fitted.answer_temperature})
            counts["answer_temperature"] = fitted.answer_temperature.value
            counts["answer_items"] = fitted.together.items
    found.write(context.folder / "calibration.json")
    return Result(counts)


STAGE = Stage(
    name="calibrate",
    reads=("seed", "model", "calibration"),
    inputs=("tokenize", "train", "evaluate"),
    run=run,
    code=("benchmarks", "calibration", "evaluation", "inference", "model", "recipe", "tokens"),
)
