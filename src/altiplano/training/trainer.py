"""What one process holds of a training run, and one optimizer step of it."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from altiplano.benchmarks.packed import PackedTasks, pack_tasks
from altiplano.benchmarks.readers.read import read_all
from altiplano.errors import InputError, TrainingError
from altiplano.evaluation.perplexity import HeldoutText, heldout_losses, heldout_text, summarise
from altiplano.parallel.mesh import Mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name, set_initial_weights
from altiplano.parallel.pipeline import ParallelModel, TokenLosses
from altiplano.records import CheckpointManifest, HeldoutScores, StepMetrics
from altiplano.tokens.loader import IGNORED, Batch, Prefetcher, read_batch
from altiplano.tokens.shards import read_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.tokens.training_data import TrainingData
from altiplano.training.accounting import ledger
from altiplano.training.checkpoints import loading
from altiplano.training.job import Job
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import LearningRateSchedule, clip_gradient, learning_rate, make_optimizer
from altiplano.training.resilience import incidents
from altiplano.training.resilience.corruption import CorruptionSearch
from altiplano.training.skips import Skips, leave_out_documents


@dataclass
class Trainer:
    job: Job
    mesh: Mesh
    data: TrainingData
    heldout: list[HeldoutText]
    model: ParallelModel
    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    tensors: dict[str, Any]
    """Weights and moments by name: what a checkpoint holds."""
    bos: int
    skips: Skips
    corruption: CorruptionSearch
    done: int = 0
    """Steps taken."""
    updates: int = 0
    """Steps that changed the weights."""
    skipped_in_a_row: int = 0
    spikes: int | None = None
    """In a row, up to the checkpoint that was loaded, as far as it says."""
    ready: Prefetcher | None = None
    progress: Callable[[], None] = lambda: None
    """Called whenever something that takes long gets on."""
    schedule: LearningRateSchedule = learning_rate
    benchmarks: PackedTasks | None = None
    agreed: list[bool] = field(default_factory=list)
    """The flags of the last step, each true where it was so on any process."""

    def samples(self, step: int) -> np.ndarray:
        """Places in the order of samples [rows] that step number ``step`` (from 0) takes."""
        return self.skips.kept(self.job.recipe.batch.samples(step))

    def leave_out(self, *ranges: tuple[int, int]) -> None:
        """Never take these samples, nor those of forgotten documents, of which later epochs have more."""
        self.skips.skip_samples(*ranges)
        leave_out_documents(self.skips, self.data, self.job.recipe.forget, self.job.recipe.batch)

    def batch(self) -> Batch:
        """This data-parallel rank's share of the next step's samples, on the CPU, read while the step before
        computed."""
        if self.ready is None:
            self.ready = Prefetcher(partial(read_batch, self.data), self._plan(), device=self.mesh.device)
        return next(self.ready)

    def _plan(self) -> Iterator[np.ndarray]:
        """The samples of every step to come that this data-parallel rank takes."""
        for step in range(self.done, self.job.recipe.batch.steps):
            yield self.skips.kept(self.job.layout.share(self.job.recipe.batch.samples(step), self.mesh.rank("dp")))

    def close(self) -> None:
        """Stop reading ahead."""
        if self.ready is not None:
            self.ready.close()
            self.ready = None

    def step(self, batch: Batch, flags: Callable[[], Sequence[bool]] = list) -> StepMetrics:
        """The next optimizer step, on every process together; what it measured. Raises Fault and TrainingError.

        This process waits for its device once, when the gradient is there; the update runs on beside what follows.
        ``flags``, asked as late as can be, go to all processes with the numbers that are read then (``agreed``).
        """
        recipe, step = self.job.recipe, self.done
        sequences = len(recipe.batch.samples(step))
        batch = batch.to(self.mesh.device)
        # Counted and added up where it is needed: the host need not know it.
        valid = self.mesh.sum((batch.targets != IGNORED).sum(), "dp")
        rate = self.schedule(step, recipe.batch.steps, recipe.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        summed = self.mesh.sum(self.model.step(batch, sequences, valid), "dp", "pp")
        length = clip_gradient(self.parameters.values(), recipe.optimizer.max_grad_norm, self.mesh)
        loss, norm, finite, self.agreed = _on_all_ranks(summed, length, *flags())
        if self.corruption.remembered is not None:
            self.corruption.compare(step)
        self._update(step, finite)
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        every = recipe.recovery.check_weights_every
        if every and self.done % every == 0:
            self.corruption.remember()
        return StepMetrics(
            step=self.done,
            tokens=recipe.batch.tokens_after(self.done),
            loss=loss,
            gradient_norm=norm,
            learning_rate=rate,
            skipped=step in self.skips.updates,
        )

    def _update(self, step: int, finite: bool) -> None:
        """Change the weights; not where a loss or gradient is no number on any rank, nor where skips say so."""
        if not finite:
            if step not in self.skips.updates:
                self.skips.updates.add(step)
                self.skipped_in_a_row += 1
                if dist.get_rank() == 0:
                    self.skips.write(self.job.folder)
                    what = f"step {step + 1} has no finite loss or gradient"
                    print(f"warning: {what}; its update is skipped", file=sys.stderr)
                    incidents.record(self.job.folder, "not finite", what, "skipped its update", step=step + 1)
            if self.skipped_in_a_row >= self.job.recipe.guards.max_skipped_updates:
                raise TrainingError(
                    f"no finite loss and gradient in {self.skipped_in_a_row} steps up to {step + 1}; the checkpoint "
                    "before them is kept; lower optimizer.learning_rate or raise optimizer.warmup_steps"
                )
        elif step not in self.skips.updates:
            self.optimizer.step()
            self.updates += 1
            self.skipped_in_a_row = 0

    def evaluate(self) -> HeldoutScores:
        """Held-out text and benchmarks; each data-parallel rank scores its share of the windows."""
        batch = self.job.recipe.batch
        share = self.job.layout.share(range(batch.sequences), self.mesh.rank("dp"))

        def reduce(sums: Tensor) -> Tensor:
            return self.mesh.sum(sums.to(self.mesh.device), "dp", "pp").cpu()

        how = (self.bos, batch.sequences, slice(share.start, share.stop), reduce)
        nlls = heldout_losses(self.model.score, self.heldout, *how)
        scores = summarise(self.heldout, nlls, step=self.done, tokens=batch.tokens_after(self.done))
        if self.benchmarks is None:
            return scores
        return scores.model_copy(update={"benchmarks": self.benchmarks.scores(self.model.score, *how)})

    def facts(self) -> dict[str, Any]:
        """What a checkpoint's manifest says beside its tensors: all of the run's state that is not a tensor."""
        batch = self.job.recipe.batch
        return {
            "samples": self._taken(),
            "tokens": batch.tokens_after(self.done),
            "updates": self.updates,
            "layout": str(self.job.layout),
            "data": self.data.fingerprint,
        }

    def _taken(self) -> int:
        """The place in the order of samples after the last that was taken."""
        return int(self.samples(self.done - 1)[-1]) + 1 if self.done else 0

    def load(self, no_later_than: int | None = None) -> None:
        """Go to the newest sound checkpoint, or to the beginning when there never was one.

        A phase begins with the weights, the moments and the number of updates (of AdamW's bias correction) of the
        training before it; only its steps are counted anew. Raises InputError when there are checkpoints and none can
        be used, unless this command was told to go on, or the one to begin with cannot be used.
        """
        self.close()
        begins = no_later_than is None
        found = loading.load_newest(
            self.job.folder / "checkpoints",
            self.tensors,
            no_later_than,
            published=ledger.newest_published(ledger.read(self.job.folder / "ledger.jsonl")) if begins else 0,
            from_step_0=self.job.from_step_0 and begins and self.job.is_first_attempt,
            progress=self.progress,
        )
        origin = found
        if found is None and self.job.start is not None:
            origin = loading.load_one(self.job.start, self.tensors, self.progress)
        elif found is None:
            for part in self.model.parts:
                set_initial_weights(part, self.job.recipe)
            for name, tensor in self.tensors.items():
                if not name.startswith("model."):
                    tensor.zero_()
        self.done = found.step if found else 0
        self.updates = 0 if origin is None else origin.step if origin.updates is None else origin.updates
        self.skipped_in_a_row = 0
        self.spikes = found.spikes if found is not None else None
        self.corruption.remembered = None
        loading.set_optimizer_updates(self.parameters, self.optimizer, self.updates)
        if found is not None:
            self._check_order(found)

    def _check_order(self, found: CheckpointManifest) -> None:
        """Raise InputError when this recipe would go on with other samples than the checkpoint's would have."""
        here, there = self._taken(), found.samples
        # Earlier versions wrote the place of the next sample, which is another where samples are skipped just then.
        if there is not None and there not in (here, int(self.samples(self.done)[0])):
            raise InputError(
                f"the checkpoint of step {self.done:,} has taken {there:,} samples, this recipe's batches would have "
                f"taken {here:,}: change batch.tokens back, or say from when on with [[batch.ramp]]"
            )
        if found.data not in (None, self.data.fingerprint) and "mixture" not in self.job.allow:
            raise InputError(
                f"the checkpoint of step {self.done:,} was trained on another order of samples "
                "(other token shards, sequence length, seed or mixture): restore them, or choose another --workspace"
            )


def prepare(
    job: Job,
    mesh: Mesh,
    bos: int,
    progress: Callable[[], None] = lambda: None,
    loss: TokenLosses | None = None,
    schedule: LearningRateSchedule = learning_rate,
) -> Trainer:
    """Data, model and optimizer, as at the start or as in the newest sound checkpoint in the job's folder."""
    recipe = job.recipe
    if loss is not None and (job.layout.tp > 1 or job.layout.head_chunks > 1):
        key = "tp" if job.layout.tp > 1 else "head_chunks"
        raise InputError(f"layout {job.layout}: a loss of your own needs {key} = 1, as it sees all logits of a token")
    sequence = recipe.batch.sequence_length
    data = TrainingData(read_shards(job.tokens, "train"), sequence, bos, recipe.seed, recipe.mixture)
    heldout = [
        heldout_text(shard, recipe.batch.sequence_length, bos, recipe.evaluation.max_tokens)
        for shard in read_shards(job.tokens, "heldout")
    ]
    if not heldout:
        raise InputError(f"{job.tokens} has no held-out shards: tokenize a corpus with held-out documents")
    # Their first values are drawn by ``load``, where there is no checkpoint to take others from.
    model = parallelize(recipe, job.layout, mesh, token_losses(mesh.group("tp")), initial=False)
    model.progress = progress
    if loss is not None:
        model.training_losses = loss
    parameters = parameters_by_name(model.parts)
    optimizer = make_optimizer(parameters, recipe.optimizer)
    tensors = loading.training_tensors(parameters, optimizer)
    trainer = Trainer(
        job,
        mesh,
        data,
        heldout,
        model,
        parameters,
        optimizer,
        tensors,
        bos,
        skips=Skips.read(job.folder),
        corruption=CorruptionSearch(parameters),
        progress=progress,
        schedule=schedule,
        benchmarks=_benchmarks(job),
    )
    if recipe.forget:
        trainer.leave_out()
        if dist.get_rank() == 0:
            trainer.skips.write(job.folder)
    trainer.load()
    return trainer


def _benchmarks(job: Job) -> PackedTasks | None:
    """The recipe's benchmarks. The first process reads them for all: thousands would open the same files at once.
    Raises InputError or OSError on all processes when they cannot be read."""
    if not job.recipe.evaluation.benchmarks:
        return None
    found: list[Any] = [None]
    if dist.get_rank() == 0:
        try:
            found = [_read_benchmarks(job)]
        except (InputError, OSError) as error:
            found = [error]
    dist.broadcast_object_list(found, src=0)
    if isinstance(found[0], Exception):
        raise found[0]
    packed: PackedTasks = found[0]
    return packed


def _read_benchmarks(job: Job) -> PackedTasks:
    settings, room = job.recipe.evaluation, job.recipe.batch.sequence_length
    tokenizer = Tokenizer.load(job.tokens / "tokenizer")
    return pack_tasks(read_all(settings.benchmarks), tokenizer, room, settings.benchmark_items)


def _on_all_ranks(loss: Tensor, norm: Tensor, *flags: bool) -> tuple[float, float, bool, list[bool]]:
    """Loss, gradient norm, whether those of all processes are numbers, and each flag, true where it is so on any: the
    same on all of them where they are numbers, and read at once."""
    own = torch.stack([loss.double(), norm.double()])
    # Filled there, not copied there: a copy waits for the device as reading does.
    raised = [torch.full((), float(flag), dtype=torch.float64, device=own.device) for flag in flags]
    everybodys = torch.stack([*own.nan_to_num(nan=math.inf), (~own.isfinite().all()).double(), *raised])
    if dist.get_world_size() > 1:
        dist.all_reduce(everybodys, dist.ReduceOp.MAX)
    values = torch.cat([own, everybodys]).tolist()
    broken = bool(values[4])
    read_loss, read_norm = values[:2] if broken else values[2:4]
    return read_loss, read_norm, not broken, [bool(flag) for flag in values[5:]]
