"""Train: token shards to weights, under any layout."""

import hashlib
import inspect
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from altiplano.errors import InputError, StageFailed
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import MAIN, Training, is_training
from altiplano.recipe.units import human_bytes
from altiplano.records import MixtureShares, TrainingSummary
from altiplano.stages.stage import Context, Result, Stage, is_publisher, read_manifest, wanted_of, work_folder
from altiplano.stages.supervise import supervise
from altiplano.storage import read_json, write_text
from altiplano.tokens.shards import BEGIN_BYTES, read_shards, verify_shards
from altiplano.training.checkpoints import checkpoint

if TYPE_CHECKING:
    from altiplano.training.job import Job

# How often it is evaluated or saved does not change what is trained.
READS = ("seed", "model", "mixture", "batch", "optimizer", "precision", "guards", "forget", "average")
# What is measured, or tells of what happened, and so differs between runs that compute the same weights.
RECORDS = (
    "metrics.jsonl",
    "heldout.jsonl",
    "run.json",
    "mixture.json",
    "ledger.jsonl",
    "incidents.jsonl",
    "skips.json",
    "changes.jsonl",
    "profile/",
    "tensorboard/",
    "wandb",
    ".heartbeats/",
    "flight-recorder/",
)
# Every checkpoint has a manifest with checksums; one that was set aside may not even be readable.
UNLISTED = ("checkpoints/",)
EXPORT_NEXT = "altiplano export RECIPE writes its weights, and needs no device"


def run(context: Context) -> Result:
    from altiplano.training.job import Job

    tokens, steps = context.inputs["tokenize"], context.recipe.batch.steps
    trained_before = checkpoint.is_trained(context.folder, steps)
    if context.export_only and not trained_before:
        raise InputError(f"training in {context.folder} has not taken its {steps:,} steps: altiplano train RECIPE")
    if is_publisher() and not trained_before:
        if context.recipe.pretrained is not None:
            from altiplano.model.weights import pretrained_weights

            pretrained_weights(context.recipe)  # whether it fits, before ranks start
        _check_start(context)
        _check_tokens(tokens)
        _describe_data(context.recipe, tokens, context.folder)
    job = Job(
        recipe=context.recipe,
        layout=context.layout,
        device=context.cluster.device,
        tokens=tokens,
        folder=context.folder,
        start=_start(context),
        stop_after=context.stop_after,
        profile=context.profile,
        allow=context.allow,
        from_step_0=context.from_step_0,
        log_to=context.log_to,
    )
    if "RANK" not in os.environ:
        _train_or_export(job, context, trained_before)
    elif context.export_only:
        from altiplano.training.export import under_torchrun

        if context.handover is not None:
            context.handover.give("export", job)
        under_torchrun(job)
    elif not trained_before:  # torchrun's agent watches over this rank
        if context.handover is not None:
            context.handover.give("train", job)
        from altiplano.training.worker import run_job

        run_job(job, context.custom)
    if not is_publisher():
        return Result({}, finished=False)
    trained = TrainingSummary.read(context.folder / "run.json")
    done = trained.steps
    if not trained.finished or done != steps:
        message = f"stopped at step {done} of {steps}; the same command goes on from there; so far: {context.folder}"
        return Result({"steps": done}, finished=False, message=message)
    written = context.folder / checkpoint.DIGESTS
    if not written.exists():  # under torchrun: devices are for others now
        return Result({"steps": done}, finished=False, message=f"trained; {EXPORT_NEXT}")
    digests = {f"weights/{name}": digest for name, digest in read_json(written).items()}
    written.unlink()
    _drop_older_checkpoints(context)
    counts = {"parameters": trained.parameters, "tokens": trained.tokens, "steps": done}
    return Result(counts, records=RECORDS, unlisted=UNLISTED, digests=digests)


def _train_or_export(job: "Job", context: Context, trained: bool) -> None:
    """What is left to do of training and of writing its weights, on this machine."""
    if context.custom is not None and not trained:
        from altiplano.training.worker import run_job_here

        run_job_here(job, context.custom)
        return
    # A fresh process, since ranks are forked and this one has threads.
    job_file = context.folder / "job.json"
    write_text(job_file, job.model_copy(update={"begun": time.time()}).model_dump_json())
    module = "altiplano.training.export" if trained else "altiplano.training.supervisor"
    command = [sys.executable, "-m", module, str(job_file), str(os.getpid())]
    code = supervise(command, context.lock, context.folder, context.recipe.recovery.max_restarts)
    job_file.unlink(missing_ok=True)
    if code:
        raise StageFailed(code)


def stage_of(main: Stage, training: Training, before: Training | None) -> Stage:
    """The stage of one of a recipe's trainings, like ``main``; a phase goes on from the training before it."""
    if before is None:
        return main
    # what the first one began with is in the hash of its result
    return replace(main, name=training.stage, inputs=(*main.inputs, before.stage), sources=None)


def _start(context: Context) -> Path | None:
    """The last checkpoint of the training before this phase; None where there is none before it."""
    before = next((folder for name, folder in context.inputs.items() if is_training(name)), None)
    if before is None:
        return None
    published = read_manifest(before)
    assert published is not None  # it is an input
    return checkpoint.of_step(before / "checkpoints", int(published.counts["steps"]))


def _check_start(context: Context) -> None:
    """Raise InputError, before ranks start, where the checkpoint to begin with is not there."""
    start = _start(context)
    if start is not None and not checkpoint.saved(context.folder / "checkpoints") and not start.exists():
        raise InputError(f"{start} is not there, which this phase begins with: bring it back from a copy")


def is_only_export_left(stage: Stage, context: Context) -> bool:
    """Whether training is done, and only its weights are not written and published."""
    folder = work_folder(stage, context.workspace, wanted_of(stage, context))
    return checkpoint.is_trained(folder, context.recipe.batch.steps)


def check_forgotten(recipe: Recipe, workspace: Path) -> None:
    """Raise InputError when the model that is there has forgotten documents and the recipe would train on them."""
    published = read_manifest(workspace / MAIN)
    forgotten = published.recipe.get("forget", ()) if published else ()
    if missing := [one for one in forgotten if one not in recipe.forget]:
        raise InputError(
            f"{workspace / MAIN} has forgotten {len(missing)} documents that this recipe would train on again: go "
            f"on with {workspace / 'recipe.toml'}, copy its forget = [...], or choose another --workspace"
        )


def _check_tokens(tokens: Path) -> None:
    """Raise InputError when token files are not as they were written. Says what was not read: reading 60 TB again at
    every start would take a day."""
    found = verify_shards(tokens, BEGIN_BYTES)
    if found.read_bytes < found.token_bytes:
        print(
            f"token shards: {found.files:,} files have their sizes; {found.read:,} of {found.token_files:,}, drawn at "
            f"random, were read ({human_bytes(found.read_bytes)} of {human_bytes(found.token_bytes)}) and are sound",
            file=sys.stderr,
        )


def _describe_data(recipe: Recipe, tokens: Path, folder: Path) -> None:
    """Say, and write into ``mixture.json``, what will be read how often.

    Raises InputError when the mixture and the shards do not fit together.
    """
    from altiplano.tokens.tokenizer import Tokenizer
    from altiplano.tokens.training_data import TrainingData

    sequence, batch = recipe.batch.sequence_length, recipe.batch
    bos = Tokenizer.load(tokens / "tokenizer").bos
    data = TrainingData(read_shards(tokens, "train"), sequence, bos, recipe.seed, recipe.mixture)
    samples = batch.tokens_after(batch.steps) // sequence
    MixtureShares(data.shares(samples)).write(folder / "mixture.json")
    for line in data.summary(samples):
        print(line, file=sys.stderr)


def _drop_older_checkpoints(context: Context) -> None:
    """All but those whose weights, or their mean, were written and whose bytes were verified."""
    folder = context.folder / "checkpoints"
    if checkpoint.of_step(folder, context.recipe.batch.steps).exists():
        for old in checkpoint.saved(folder):
            step = checkpoint.step_of(old)
            if step not in context.recipe.averaged and not context.recipe.checkpoint.retains(step):
                shutil.rmtree(old)


def _custom_code(context: Context) -> str:
    """A hash of a library user's own loss and schedule, which determine the weights."""
    custom = context.custom
    functions = [one for one in (custom.loss, custom.schedule) if one is not None] if custom else []
    return hashlib.sha256("".join(map(inspect.getsource, functions)).encode()).hexdigest() if functions else ""


def _pretrained(context: Context) -> str:
    """Changes when the weights that training begins with do."""
    if context.recipe.pretrained is None:
        return ""
    from altiplano.model.weights import weights_fingerprint

    return weights_fingerprint(context.recipe.pretrained)


STAGE = Stage(
    MAIN,
    reads=READS,
    inputs=("tokenize",),
    run=run,
    code=("benchmarks", "evaluation", "inference", "model", "parallel", "planning", "recipe", "tokens", "training"),
    sources=_pretrained,
    functions=_custom_code,
    distributed=True,
    protect_partial_work=True,
)
