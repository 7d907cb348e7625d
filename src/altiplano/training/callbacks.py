"""What happens beside the steps of training: a callback overrides the hooks it needs, as in Hugging Face's Trainer.

Every process calls every hook of every callback, in one order and at the same step, so a hook may use collectives.
What only one process knows (a signal, a clock) it asks for through ``TrainingRun.should_stop`` and ``should_save``; it
goes to the others with the numbers that every step reads, so that the host need not wait for the device once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch.distributed as dist

from altiplano.parallel.mesh import Mesh
from altiplano.parallel.pipeline import TokenLosses
from altiplano.records import HeldoutScores, StepMetrics
from altiplano.training.accounting.ledger import Ledger
from altiplano.training.job import Job
from altiplano.training.optimizer import LearningRateSchedule
from altiplano.training.trainer import Trainer


@dataclass
class TrainingRun:
    """What callbacks see of this session, and ask of it."""

    job: Job
    mesh: Mesh
    trainer: Trainer
    ledger: Ledger
    first_step: int
    """Steps that were taken before this session."""
    end: int
    """The step that this session ends with."""
    should_stop: bool = False
    """Ask to save a checkpoint and end, after this step or the next. Any process may ask."""
    should_save: bool = False
    """Ask for a rolling checkpoint, of this step or the next. Any process may ask."""
    should_roll_back: bool = False
    """Go back to a checkpoint from before the last ``spikes`` steps, and leave their samples out. All processes must
    ask for it at the same step: judge by ``metrics.loss`` and ``gradient_norm``, which are the same on all of them."""
    spikes: int = 0
    is_stopping: bool = False
    """All processes have agreed to stop."""
    is_saving: bool = False
    """All processes have agreed to save this step."""
    rollbacks: int = 0
    """Since the last permanent checkpoint."""
    results: dict[str, Any] = field(default_factory=dict)
    """What callbacks add to the session's result."""

    @property
    def step(self) -> int:
        """Optimizer steps taken, over all sessions."""
        return self.trainer.done

    @property
    def is_writer(self) -> bool:
        """Whether this process writes the run's files."""
        return dist.get_rank() == 0

    @property
    def is_evaluation_due(self) -> bool:
        recipe = self.job.recipe
        return self.step % recipe.evaluation.interval_steps == 0 or self.step == recipe.batch.steps

    @property
    def is_permanent_save_due(self) -> bool:
        recipe = self.job.recipe
        is_regular = self.step % recipe.checkpoint.interval_steps == 0 or self.step in recipe.averaged
        return is_regular or self.step == self.end or self.is_stopping

    @property
    def is_rolling_save_due(self) -> bool:
        steps = self.job.recipe.checkpoint.rolling_steps
        return self.is_saving or bool(steps and self.step % steps == 0)

    def asked(self) -> list[bool]:
        """What this process asks all of them for."""
        return [self.should_stop, self.should_save]

    def agree(self) -> None:
        """What one process asked for before the numbers of this step were read, all of them do now."""
        alone = dist.get_world_size() == 1
        self.is_stopping, self.is_saving = self.asked() if alone else self.trainer.agreed


class Callback:
    """Override what you need. ``metrics`` and ``scores`` are records of metrics.jsonl and heldout.jsonl."""

    def on_train_begin(self, run: TrainingRun) -> None:
        """Before the first step of this session: model, optimizer and data are as its checkpoint left them."""

    def on_step_begin(self, run: TrainingRun) -> None:
        """Before a batch is taken."""

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        """After an optimizer step. It may still be rolled back; ask here for ``run.should_…``."""

    def on_rollback_begin(self, run: TrainingRun) -> None:
        """Before the run goes back to an earlier checkpoint."""

    def on_rollback_end(self, run: TrainingRun) -> None:
        """After the run went back to an earlier checkpoint: nothing after ``run.step`` has happened."""

    def on_evaluate(self, run: TrainingRun, scores: HeldoutScores) -> None:
        """After held-out text was scored."""

    def on_save(self, run: TrainingRun) -> None:
        """When a checkpoint is due."""

    def on_log(self, run: TrainingRun, metrics: StepMetrics) -> None:
        """After all that belongs to a step: ``metrics`` are complete and the step stands."""

    def on_train_end(self, run: TrainingRun) -> None:
        """After the last step of this session."""


@dataclass(frozen=True)
class Custom:
    """Functions of a program that uses Altiplano as a library: a job file cannot carry them."""

    callbacks: Sequence[Callback] = ()
    loss: TokenLosses | None = None
    """Of logits [rows, tokens, vocabulary] and targets [rows, tokens] to losses [rows, tokens]; targets of -100 must
    lose nothing. Held-out text is scored by cross-entropy whatever this is."""
    schedule: LearningRateSchedule | None = None
    """Of a step (from 0), the number of steps and the recipe's section to a learning rate."""
