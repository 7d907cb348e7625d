"""The trained model as later stages ask it: in this process, or over the ranks of the layout.

A stage that asks it (``evaluate``, ``calibrate``, ``redteam``) runs as it would in one process, on the first rank; the
others follow it. On this machine ``on_ranks`` starts them; elsewhere torchrun has.
``python -m altiplano.stages.scoring JOB.json PARENT`` is what it starts.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
from pydantic import BaseModel

from altiplano.errors import (
    INTERRUPTED,
    Fault,
    InputError,
    StageFailed,
    TrainingError,
    explain_machine_error,
    explain_os_error,
)
from altiplano.inference.language_model import LanguageModel, LocalModel
from altiplano.model.weights import load_model
from altiplano.parallel.processes import die_with_parent, fork_until_stopped
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.stages.stage import Context, Result, is_publisher
from altiplano.stages.supervise import run_to_its_end
from altiplano.storage import Damaged, read_json, write_json, write_text
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints.checkpoint import of_step
from altiplano.training.scoring import over_mesh

JOB, RESULT = ".ranks.json", ".result.json"
Ask = Callable[[Context, LanguageModel], Result]


class ScoringJob(BaseModel):
    """A stage to run on ranks."""

    stage: str
    recipe: Recipe
    cluster: Cluster
    layout: Layout
    workspace: Path
    folder: Path
    inputs: dict[str, Path]

    def context(self) -> Context:
        return Context(self.recipe, self.cluster, self.layout, self.workspace, self.folder, self.inputs)


def asking_trained_model(stage: str, ask: Ask, context: Context, temperature: float = 1.0) -> Result:
    """What ``ask`` makes of the model that ``train`` trained, computed on the ranks of the context's layout. On ranks
    but the first of torchrun's the result is not finished."""
    if context.layout.world_size > 1 and "RANK" not in os.environ:
        return on_ranks(stage, context)
    if context.handover is not None:
        context.handover.give(stage, scoring_job(stage, context))
    with trained_model(context, temperature) as served:
        if served is None:
            return Result({}, finished=False)
        result = ask(context, served)
    if isinstance(served, LocalModel):
        return result
    result.counts["computed"] = f"{context.recipe.precision.compute} on {context.layout}"
    return result


@contextmanager
def trained_model(context: Context, temperature: float) -> Iterator[LanguageModel | None]:
    """As ``over_mesh``; a layout of one rank takes the written weights in float32."""
    recipe, trained = context.recipe, context.trained
    tokenizer = Tokenizer.load(context.inputs["tokenize"] / "tokenizer")
    if context.layout.world_size > 1:
        checkpoints = [of_step(trained / "checkpoints", step) for step in recipe.averaged]
        if missing := [one for one in checkpoints if not one.exists()]:
            raise InputError(
                f"{missing[0]} is not there, whose weights ranks read: bring it back, or use the written ones with "
                "--layout dp1"
            )
        with over_mesh(recipe, context.layout, context.cluster.device, checkpoints, tokenizer, temperature) as asked:
            yield asked
        return
    weights = trained / "weights"
    model = load_model(weights).to(torch.device(context.cluster.device))
    length = int(read_json(weights / "config.json")["max_position_embeddings"])
    yield LocalModel(recipe.name, model, tokenizer, length, temperature)


def scoring_job(stage: str, context: Context) -> ScoringJob:
    return ScoringJob(
        stage=stage,
        recipe=context.recipe,
        cluster=context.cluster,
        layout=context.layout,
        workspace=context.workspace,
        folder=context.folder,
        inputs=context.inputs,
    )


def on_ranks(stage: str, context: Context) -> Result:
    """Run a stage on as many processes of this machine as its layout has ranks."""
    job = scoring_job(stage, context)
    file, answer = context.folder / JOB, context.folder / RESULT
    write_text(file, job.model_dump_json())
    command = [sys.executable, "-m", "altiplano.stages.scoring", str(file), str(os.getpid())]
    code, asked = run_to_its_end(command, context.lock)
    file.unlink()
    if code < 0 and not asked:
        raise TrainingError(
            f"the ranks of {stage} were ended by {signal.Signals(-code).name}; the same command goes on"
        )
    if code:
        raise StageFailed(INTERRUPTED if asked else code)
    found = read_json(answer)
    answer.unlink()
    return Result(found["counts"], passed=found["passed"], message=found["message"])


def _rank(job: ScoringJob) -> int:
    try:
        result = import_module(f"altiplano.stages.{job.stage}").run(job.context())
    except (InputError, Damaged, TrainingError, Fault) as error:
        return _complain(str(error), 2 if isinstance(error, (InputError, Damaged)) else 1)
    except OSError as error:
        return _complain(explain_os_error(error) or explain_machine_error(error), 2)
    except MemoryError as error:
        return _complain(explain_machine_error(error), 1)
    if is_publisher():
        said = {"counts": result.counts, "passed": result.passed, "message": result.message}
        write_json(job.folder / RESULT, said)
    return 0


def _complain(text: str, code: int) -> int:
    print(f"altiplano: {text}", file=sys.stderr)
    return code


def main() -> int:
    die_with_parent(int(sys.argv[2]))
    job = ScoringJob.model_validate_json(Path(sys.argv[1]).read_text())
    return fork_until_stopped(job.layout.world_size, partial(_rank, job))


if __name__ == "__main__":
    sys.exit(main())
