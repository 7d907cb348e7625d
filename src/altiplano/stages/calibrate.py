"""Calibrate: one temperature for the trained model, and how reliable its probabilities are."""

from altiplano.calibration.calibrate import calibrate
from altiplano.inference.rounding import rounded
from altiplano.model.weights import load_model
from altiplano.stages.stage import Context, Result, Stage
from altiplano.storage import read_json
from altiplano.tokens.shards import read_shards


def run(context: Context) -> Result:
    weights = context.inputs["train"] / "weights"
    length = int(read_json(weights / "config.json")["max_position_embeddings"])
    shards = read_shards(context.inputs["tokenize"], "heldout")
    model = load_model(weights).to(context.cluster.device)
    found = rounded(calibrate(model, shards, length, context.recipe.calibration, context.recipe.seed))
    found.write(context.folder / "calibration.json")
    counts = {
        "temperature": found.temperature,
        "fit_tokens": found.fit.tokens,
        "test_tokens": found.test.tokens,
    }
    return Result(counts)


STAGE = Stage(
    name="calibrate",
    reads=("seed", "model", "calibration"),
    inputs=("tokenize", "train"),
    run=run,
    code=("calibration", "inference", "model", "recipe", "tokens"),
)
