"""Calibrate: one temperature for the trained model, and how reliable its probabilities are."""

import json

from altiplano.calibration.calibrate import calibrate
from altiplano.inference.rounding import rounded
from altiplano.model.weights import load_model
from altiplano.stages.stage import Context, Result, Stage
from altiplano.tokens.shards import read_shards


def run(context: Context) -> Result:
    weights = context.inputs["train"] / "weights"
    length = int(json.loads((weights / "config.json").read_text())["max_position_embeddings"])
    shards = read_shards(context.inputs["tokenize"], "heldout")
    found = rounded(calibrate(load_model(weights), shards, length, context.recipe.calibration, context.recipe.seed))
    (context.folder / "calibration.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    counts = {
        "temperature": found["temperature"],
        "fit_tokens": found["fit"]["tokens"],
        "test_tokens": found["test"]["tokens"],
    }
    return Result(counts)


STAGE = Stage(
    name="calibrate",
    reads=("seed", "model", "calibration"),
    inputs=("tokenize", "train"),
    run=run,
    code=("calibration", "inference", "model"),
)
