"""Red team: attack the trained model, and decide whether it may be released."""

from typing import TYPE_CHECKING

from altiplano.records import Calibration, GateLimit
from altiplano.stages.stage import Context, Result, Stage
from altiplano.storage import digest

if TYPE_CHECKING:
    from altiplano.inference.language_model import LanguageModel


def run(context: Context) -> Result:
    from altiplano.stages.scoring import asking_trained_model

    temperature = Calibration.read(context.inputs["calibrate"] / "calibration.json").temperature
    return asking_trained_model("redteam", _attack, context, temperature)


def _attack(context: Context, served: "LanguageModel") -> Result:
    from altiplano.inference.rounding import rounded
    from altiplano.redteam.attack import Corpus, attack

    recipe = context.recipe
    corpus = Corpus(context.inputs["curate"], context.inputs["tokenize"])
    found = rounded(attack(served, recipe.redteam, recipe.seed, context.folder, corpus=corpus))
    found.write(context.folder / "redteam.json")
    failed = [line for line in found.gate if not line.passed]
    message = "; ".join(why_failed(line) for line in failed)
    attacks = sum(test.n for test in found.tests)
    counts = {"tests": len(found.tests), "attacks": attacks, "failed": [line.name for line in failed]}
    return Result(counts, passed=found.passed, message=message)


def why_failed(line: GateLimit) -> str:
    if line.verdict == "not shown":
        return f"{line.name} is not shown, and the recipe requires it ({line.what})"
    return f"{line.name} is {line.value:.4g}, the limit {line.limit:.4g}"


def _known(context: Context) -> str:
    """A hash of what the owner wants to be looked for; empty without any."""
    known = context.recipe.redteam.known
    return digest(known) if known is not None and known.is_file() else ""


STAGE = Stage(
    name="redteam",
    reads=("seed", "model", "redteam"),
    inputs=("curate", "tokenize", "train", "calibrate"),
    run=run,
    distributed=True,
    sources=_known,
    code=(
        "corpus",
        "evaluation",
        "inference",
        "model",
        "parallel",
        "recipe",
        "redteam",
        "tokens",
        "training",
    ),
)
