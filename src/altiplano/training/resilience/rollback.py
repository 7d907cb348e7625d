"""Rolling back: after several spikes in a row, train on from a checkpoint before them, without their samples."""

import sys
from pathlib import Path

import torch.distributed as dist

from altiplano.errors import TrainingError
from altiplano.records import StepMetrics
from altiplano.storage import remove_leftover
from altiplano.training.callbacks import Callback, TrainingRun
from altiplano.training.checkpoints import checkpoint
from altiplano.training.metrics import MetricsWriter
from altiplano.training.resilience import incidents
from altiplano.training.resilience.spikes import SpikeDetector


class RollBackSpikes(Callback):
    """Judges every step; asks to roll back after ``guards.spike_patience`` spikes in a row."""

    def __init__(self, writer: MetricsWriter):
        """``writer`` knows the steps before this session."""
        self.writer = writer

    def on_train_begin(self, run: TrainingRun) -> None:
        guards = run.job.recipe.guards
        self.detector = SpikeDetector(guards, self.writer.past(guards.spike_window))
        if run.trainer.spikes is not None:  # the lines of the last steps may be lost with the power
            self.detector.in_a_row = run.trainer.spikes

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        metrics.spike = not metrics.skipped and self.detector.judge(metrics.loss, metrics.gradient_norm)
        run.spikes = self.detector.in_a_row
        run.should_roll_back |= run.spikes >= run.job.recipe.guards.spike_patience

    def on_rollback_end(self, run: TrainingRun) -> None:
        self.on_train_begin(run)


def roll_back(run: TrainingRun) -> None:
    """Return to the newest checkpoint from before the last ``run.spikes`` steps, and never take their samples again.

    Raises TrainingError after ``guards.max_rollbacks`` of them without a permanent checkpoint in between.
    """
    trainer, job, first = run.trainer, run.job, run.step - run.spikes
    run.rollbacks += 1
    if run.rollbacks > job.recipe.guards.max_rollbacks:
        raise TrainingError(
            f"the loss spiked again at step {run.step} after {run.rollbacks - 1} rollbacks; see "
            f"{job.folder / 'incidents.jsonl'}; lower optimizer.learning_rate or set guards.spike_zscore = 0"
        )
    start, stop, seen = int(trainer.samples(first)[0]), int(trainer.samples(run.step - 1)[-1]) + 1, run.step
    trainer.leave_out((start, stop))
    aside: list[Path] = []
    if run.is_writer:
        trainer.skips.write(job.folder)
        for later in checkpoint.saved(job.folder / "checkpoints"):
            if checkpoint.step_of(later) > first:
                aside.append(checkpoint.set_aside(later, checkpoint.ROLLED_BACK))
    dist.barrier()
    trainer.load(no_later_than=first)
    if run.is_writer:
        for later in aside if run.step else ():  # not before another one was found sound
            remove_leftover(later)
        what = f"loss or gradient spiked in steps {first + 1} to {seen}"
        action = f"went back to step {run.step}; samples {start:,} to {stop - 1:,} are left out"
        incidents.record(job.folder, "spike", what, action, step=seen, samples=[start, stop])
        print(f"warning: {what}; {action}", file=sys.stderr)
