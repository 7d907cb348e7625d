"""The training loop: it reads top to bottom, the same for every layout."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch.distributed as dist

from altiplano.errors import Fault, TrainingError
from altiplano.parallel.mesh import Mesh
from altiplano.parallel.parallelize import compute_type
from altiplano.planning.model_size import training_flops_per_token
from altiplano.training.accounting.ledger import COMPUTE, DATA, INIT, SAVE, VALIDATION, Ledger
from altiplano.training.accounting.peak import Peak
from altiplano.training.checkpoints import checkpoint
from altiplano.training.checkpoints.saving import PERMANENT, ROLLING, Saver
from altiplano.training.job import Job
from altiplano.training.loggers import open_loggers
from altiplano.training.metrics import Observer, memory_by_pipeline_rank, memory_bytes
from altiplano.training.profiling import Profiler
from altiplano.training.resilience import incidents
from altiplano.training.resilience.interruption import Interruption
from altiplano.training.resilience.spikes import SpikeDetector
from altiplano.training.resilience.stragglers import SlowRanks
from altiplano.training.trainer import Trainer, any_rank, prepare


def train(job: Job, mesh: Mesh, bos: int, ledger: Ledger) -> dict[str, Any]:
    """Train to the recipe's last step (or ``job.stop_after``) from the newest checkpoint, if there is one.

    Writes metrics, held-out scores and checkpoints into the job's folder; returns what this session did. Raises
    TrainingError when training cannot go on, Fault when starting again may help, OSError when the last checkpoint
    could not be written.
    """
    recipe, rules = job.recipe, job.recipe.checkpoint
    interruption = Interruption()
    trainer = prepare(job, mesh, bos, ledger.progress)
    peak = Peak(mesh, compute_type(recipe))
    first, steps = trainer.done, recipe.batch.steps
    end = min(steps, job.stop_after or steps)
    loggers = open_loggers(job.log_to, job.folder, recipe.name, first) if dist.get_rank() == 0 else []
    observer = Observer(job.folder, steps, first, loggers)
    if dist.get_rank() == 0 and trainer.model.products is not None:
        observer.terminal.note(str(trainer.model.products))
    spikes = SpikeDetector(recipe.guards, observer.past(recipe.guards.spike_window))
    slow = SlowRanks(mesh.device, recipe.recovery.slow_ratio, trainer.corruption.group)
    saver = Saver(job.folder / "checkpoints", trainer.tensors, rules, first, ledger.published, ledger.progress)
    profiler = Profiler(range(*job.profile) if job.profile else range(0), job.folder / "profile")
    flops = training_flops_per_token(recipe.model, recipe.batch.sequence_length)
    ledger.book(first, "resume")
    last_save, rollbacks, interrupted = time.monotonic(), 0, False

    if first == 0:
        ledger.enter(VALIDATION)
        observer.heldout(trainer.evaluate())
    while trainer.done < end and not interrupted:
        begun = time.monotonic()
        saver.check()
        profiler.before(trainer.done + 1)
        ledger.enter(DATA)
        batch = trainer.batch()
        slow.note_wait(waited := time.monotonic() - begun)
        ledger.enter(COMPUTE)
        measured = trainer.step(batch)
        done = trainer.done
        seconds = time.monotonic() - begun
        measured["seconds"], measured["data_seconds"] = seconds, waited
        measured["tokens_per_second"] = len(recipe.batch.samples(done - 1)) * recipe.batch.sequence_length / seconds
        measured["mfu"] = peak.mfu(measured["tokens_per_second"] * flops)
        measured["memory_bytes"] = memory_bytes(mesh.device)
        profiler.after(done)

        measured["spike"] = not measured["skipped"] and spikes.judge(measured["loss"], measured["gradient_norm"])
        rolling = bool(rules.rolling_steps) and done % rules.rolling_steps == 0
        rolling |= bool(rules.rolling_minutes) and time.monotonic() - last_save > 60 * rules.rolling_minutes
        spiked = spikes.in_a_row >= recipe.guards.spike_patience
        interrupted, rolling, spiked = any_rank(mesh, interruption.asked, rolling, spiked)
        if spiked:
            rollbacks += 1
            saver.finish()
            roll_back(trainer, spikes.in_a_row, rollbacks)
            saver.go_on_from(trainer.done)
            ledger.book(trainer.done, "rollback")
            observer.go_back(trainer.done)
            spikes = SpikeDetector(recipe.guards, observer.past(recipe.guards.spike_window))
            continue
        if done % recipe.evaluation.interval_steps == 0 or done == steps:
            ledger.enter(VALIDATION)
            observer.heldout(trainer.evaluate())
        if recipe.recovery.check_speed_every and done % recipe.recovery.check_speed_every == 0:
            report_slow(slow, job, done)
        permanent = done % rules.interval_steps == 0 or done == end or interrupted
        if permanent or rolling:
            ledger.enter(SAVE)
            trainer.corruption.compare(done)
            saver.start(done, trainer.facts(), PERMANENT if permanent else ROLLING)
            last_save = time.monotonic()
            rollbacks = 0 if permanent else rollbacks
        measured["spent"] = ledger.book(done)
        observer.step(measured)

    trainer.close()
    observer.close()
    ledger.enter(SAVE)
    if (problem := saver.finish()) is not None:
        raise problem
    if saver.newest != trainer.done:
        raise Fault(f"training ended at step {trainer.done:,}, its newest checkpoint is of step {saver.newest:,}")
    ledger.enter(INIT)
    interruption.restore()
    return {
        "first_step": first,
        "last_step": trainer.done,
        "finished": trainer.done >= steps,
        "interrupted": interrupted and trainer.done < end,
        "products": str(trainer.model.products) if trainer.model.products else None,
        "peak": peak.record(),
        "memory_bytes": memory_by_pipeline_rank(mesh),
    }


def roll_back(trainer: Trainer, spikes: int, rollbacks: int) -> None:
    """Return to the newest checkpoint from before the last ``spikes`` steps, and never take their samples again."""
    job, first = trainer.job, trainer.done - spikes
    if rollbacks > job.recipe.guards.max_rollbacks:
        raise TrainingError(
            f"the loss spiked again at step {trainer.done} after {rollbacks - 1} rollbacks; see "
            f"{job.folder / 'incidents.jsonl'}; lower optimizer.learning_rate or set guards.spike_zscore = 0"
        )
    start, stop, seen = trainer.samples(first).start, trainer.samples(trainer.done - 1).stop, trainer.done
    trainer.skips.skip_samples(start, stop)
    aside: list[Path] = []
    if dist.get_rank() == 0:
        trainer.skips.write(job.folder)
        for later in checkpoint.saved(job.folder / "checkpoints"):
            if checkpoint.step_of(later) > first:
                aside.append(checkpoint.set_aside(later, checkpoint.ROLLED_BACK))
    dist.barrier()
    trainer.load(no_later_than=first)
    if dist.get_rank() == 0:
        for later in aside if trainer.done else ():  # not before another one was found sound
            shutil.rmtree(later, ignore_errors=True)
        what = f"loss or gradient spiked in steps {first + 1} to {seen}"
        action = f"went back to step {trainer.done}; samples {start:,} to {stop - 1:,} are left out"
        incidents.record(job.folder, "spike", what, action, step=seen, samples=[start, stop])
        print(f"warning: {what}; {action}", file=sys.stderr)


def report_slow(slow: SlowRanks, job: Job, step: int) -> None:
    """Compare the ranks' speeds; warn of those that slow down all others."""
    for rank, why in slow.compare().items():
        if dist.get_rank() == 0:
            print(f"warning: rank {rank} is slow: {why}", file=sys.stderr)
            incidents.record(job.folder, "slow", f"rank {rank}: {why}", "warned", rank=rank, step=step)
