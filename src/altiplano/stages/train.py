"""Train: token shards to weights, under any layout."""

import hashlib
import inspect
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from altiplano.errors import InputError, StageFailed
from altiplano.recipe.schema import Recipe
from altiplano.recipe.units import human_bytes
from altiplano.records import MixtureShares, TrainingSummary
from altiplano.stages.stage import Context, Result, Stage, is_publisher, read_manifest
from altiplano.storage import write_text
from altiplano.tokens.shards import BEGIN_BYTES, read_shards, verify_shards

if TYPE_CHECKING:
    pass

# How often it is evaluated or saved does not change what is trained.
READS = ("seed", "model", "mixture", "batch", "optimizer", "precision", "guards", "forget")
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
)
# Every checkpoint has a manifest with checksums; one that was set aside may not even be readable.
UNLISTED = ("checkpoints/",)


def run(context: Context) -> Result:
    from altiplano.model.weights import pretrained_weights
    from altiplano.training.job import Job

    tokens = context.inputs["tokenize"]
    if is_publisher():
        pretrained_weights(context.recipe)  # whether it fits, before ranks start
        _check_tokens(tokens)
        _describe_data(context.recipe, tokens, context.folder)
    job = Job(
        recipe=context.recipe,
        layout=context.layout,
        device=context.cluster.device,
        tokens=tokens,
        folder=context.folder,
        stop_after=context.stop_after,
        profile=context.profile,
        allow=context.allow,
        from_step_0=context.from_step_0,
        log_to=context.log_to,
    )
    if context.handover is not None:
        context.handover.give(job)
    if "RANK" in os.environ:  # torchrun's agent watches over this rank
        from altiplano.training.worker import run_job

        run_job(job, context.custom)
    elif context.custom is not None:
        from altiplano.training.worker import run_job_here

        run_job_here(job, context.custom)
    else:
        # A fresh process, since ranks are forked and this one has threads.
        job_file = context.folder / "job.json"
        write_text(job_file, job.model_copy(update={"begun": time.time()}).model_dump_json())
        command = [sys.executable, "-m", "altiplano.training.supervisor", str(job_file), str(os.getpid())]
        code = _run_and_pass_signals_on(command, context.lock)
        job_file.unlink()
        if code:
            raise StageFailed(code)
    if not is_publisher():
        return Result({}, finished=False)
    trained = TrainingSummary.read(context.folder / "run.json")
    steps, done = context.recipe.batch.steps, trained.steps
    if not trained.finished or done != steps:
        message = f"stopped at step {done} of {steps}; the same command goes on from there; so far: {context.folder}"
        return Result({"steps": done}, finished=False, message=message)
    _drop_older_checkpoints(context)
    counts = {"parameters": trained.parameters, "tokens": trained.tokens, "steps": done}
    return Result(counts, records=RECORDS, unlisted=UNLISTED)


def check_forgotten(recipe: Recipe, workspace: Path) -> None:
    """Raise InputError when the model that is there has forgotten documents and the recipe would train on them."""
    published = read_manifest(workspace / "train")
    forgotten = published.recipe.get("forget", ()) if published else ()
    if missing := [one for one in forgotten if one not in recipe.forget]:
        raise InputError(
            f"{workspace / 'train'} has forgotten {len(missing)} documents that this recipe would train on again: go "
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
    from altiplano.tokens.loader import TrainingData
    from altiplano.tokens.tokenizer import Tokenizer

    sequence, batch = recipe.batch.sequence_length, recipe.batch
    bos = Tokenizer.load(tokens / "tokenizer").bos
    data = TrainingData(read_shards(tokens, "train"), sequence, bos, recipe.seed, recipe.mixture)
    samples = batch.tokens_after(batch.steps) // sequence
    MixtureShares(data.shares(samples)).write(folder / "mixture.json")
    for line in data.summary(samples):
        print(line, file=sys.stderr)


def _run_and_pass_signals_on(command: list[str], lock: int | None) -> int:
    """Wait for ``command``, which ends by itself after Ctrl-C (the terminal tells it, too) or SIGTERM.

    It and its ranks hold the workspace's ``lock``, too: it is free when none of them is left, however they end.
    """
    # Blocked, not ignored, while it starts: a Ctrl-C waits until its ranks listen, and is neither lost nor a traceback.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    process = subprocess.Popen(command, pass_fds=() if lock is None else (lock,))
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda number, frame: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, frame: process.terminate()),
    }
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _drop_older_checkpoints(context: Context) -> None:
    """All but that of the last step, whose weights were written and whose bytes were verified."""
    from altiplano.training.checkpoints import checkpoint

    folder = context.folder / "checkpoints"
    if checkpoint.of_step(folder, context.recipe.batch.steps).exists():
        for old in checkpoint.saved(folder):
            step = checkpoint.step_of(old)
            if step < context.recipe.batch.steps and not context.recipe.checkpoint.retains(step):
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
    "train",
    reads=READS,
    inputs=("tokenize",),
    run=run,
    code=("benchmarks", "evaluation", "inference", "model", "parallel", "planning", "recipe", "tokens", "training"),
    sources=_pretrained,
    functions=_custom_code,
    distributed=True,
    protect_partial_work=True,
)
