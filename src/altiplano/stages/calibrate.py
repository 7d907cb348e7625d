"""Calibrate: one temperature for tokens, one for answers to benchmarks, and how reliable probabilities are."""

import sys
from typing import TYPE_CHECKING, Any

from altiplano.errors import InputError
from altiplano.records.benchmarks import IN_EVALUATE
from altiplano.stages.stage import Context, Result, Stage
from altiplano.tokens.shards import read_shards

if TYPE_CHECKING:
    from altiplano.inference.language_model import LanguageModel


def run(context: Context) -> Result:
    from altiplano.stages.scoring import asking_trained_model

    return asking_trained_model("calibrate", _calibrate, context)


def _calibrate(context: Context, served: "LanguageModel") -> Result:
    from altiplano.benchmarks.evaluated import read_evaluation
    from altiplano.calibration.answers.calibrate import FILE, calibrate_answers
    from altiplano.calibration.calibrate import calibrate
    from altiplano.calibration.predictions import predictor
    from altiplano.inference.rounding import rounded

    shards = read_shards(context.inputs["tokenize"], "heldout")
    settings = context.recipe.calibration
    found = rounded(calibrate(predictor(served), shards, served.context, settings, context.recipe.seed))
    counts: dict[str, Any] = {
        "temperature": found.temperature,
        "fit_tokens": found.fit.tokens,
        "test_tokens": found.test.tokens,
    }
    evaluated = context.inputs["evaluate"] / IN_EVALUATE
    if evaluated.exists():
        result, answers = read_evaluation(evaluated)
        try:
            fitted = calibrate_answers(
                answers,
                bins=settings.bins,
                samples=settings.bootstrap_samples,
                seed=context.recipe.seed,
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
    distributed=True,
    code=(
        "benchmarks",
        "calibration",
        "evaluation",
        "inference",
        "model",
        "parallel",
        "recipe",
        "tokens",
        "training",
    ),
)
