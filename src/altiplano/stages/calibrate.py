"""Calibrate: one temperature for tokens, one for answers to benchmarks, and how reliable probabilities are."""

from altiplano.benchmarks.evaluated import read_evaluation
from altiplano.calibration.answers.calibrate import FILE, calibrate_answers
from altiplano.calibration.answers.choices import usable
from altiplano.calibration.calibrate import calibrate
from altiplano.inference.rounding import rounded
from altiplano.model.weights import load_model
from altiplano.records import AnswerCalibration
from altiplano.stages.evaluate import ANSWERS
from altiplano.stages.stage import Context, Result, Stage
from altiplano.storage import read_json
from altiplano.tokens.shards import read_shards


def run(context: Context) -> Result:
    weights = context.inputs["train"] / "weights"
    length = int(read_json(weights / "config.json")["max_position_embeddings"])
    shards = read_shards(context.inputs["tokenize"], "heldout")
    model = load_model(weights).to(context.cluster.device)
    found = rounded(calibrate(model, shards, length, context.recipe.calibration, context.recipe.seed))
    counts = {
        "temperature": found.temperature,
        "fit_tokens": found.fit.tokens,
        "test_tokens": found.test.tokens,
    }
    answers = _answers(context)
    if answers is not None:
        answers.write(context.folder / FILE)
        found = found.model_copy(update={"answer_temperature": answers.answer_temperature})
        counts["answer_temperature"] = answers.answer_temperature.value
        counts["answer_items"] = answers.together.items
    found.write(context.folder / "calibration.json")
    return Result(counts)


def _answers(context: Context) -> AnswerCalibration | None:
    """None where the run has fewer than two benchmarks that offer choices."""
    folder = context.inputs["evaluate"] / ANSWERS
    if not folder.exists():
        return None
    result, answers = read_evaluation(folder)
    if len(usable(answers)[0]) < 2:
        return None
    settings = context.recipe.calibration
    return rounded(
        calibrate_answers(
            answers,
            bins=settings.bins,
            samples=settings.bootstrap_samples,
            seed=context.recipe.seed,
            model=result.model,
            fingerprint=result.fingerprint,
        )
    )


STAGE = Stage(
    name="calibrate",
    reads=("seed", "model", "calibration"),
    inputs=("tokenize", "train", "evaluate"),
    run=run,
    code=("benchmarks", "calibration", "inference", "model", "recipe", "tokens"),
)
