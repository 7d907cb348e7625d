"""The whole life of a training job, and of its model as it is asked, as one of its ranks on a fake GPU
(``fake_gpu.py``)."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore

from altiplano.calibration.predictions import predictor
from altiplano.calibration.windows import Window
from altiplano.inference.continuations import Continuation
from altiplano.inference.generate import Row, Sampling
from altiplano.inference.language_model import LanguageModel, LocalModel
from altiplano.inference.mesh_model import MeshModel
from altiplano.model.llama import Llama
from altiplano.parallel.mesh import Mesh, start_mesh
from altiplano.recipe.layout import Layout
from altiplano.records import StepMetrics
from altiplano.rehearsal.fake_gpu import GPU, DeviceWatch, fake_gpu, outside, put, without_files
from altiplano.tokens.loader import make_batch
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training import loop
from altiplano.training.accounting.ledger import Ledger
from altiplano.training.callbacks import Callback, Custom, TrainingRun
from altiplano.training.checkpoints import checkpoint
from altiplano.training.job import Job
from altiplano.training.scoring import spread


@dataclass
class Lived:
    """What a rank did, and where its host waited for the device."""

    steps: int = 0
    rollbacks: int = 0
    operations: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    waits_of_a_step: Counter[str] = field(default_factory=Counter)
    """Of an ordinary step: one without evaluation, save, or search."""


class CountWaits(Callback):
    """Of the last step of each session, from its batch until it is written down."""

    def __init__(self, watch: DeviceWatch, lived: Lived):
        self.watch, self.lived = watch, lived

    def on_step_begin(self, run: TrainingRun) -> None:
        self.before = self.watch.waits.copy()

    def on_log(self, run: TrainingRun, metrics: StepMetrics) -> None:
        recovery, settings = run.job.recipe.recovery, run.job.recipe.evaluation
        searches = [every for every in (recovery.check_weights_every, recovery.check_speed_every) if every]
        due = run.is_evaluation_due or run.is_permanent_save_due or settings.interval_steps == 1
        if not due and not any((run.step + plus) % every == 0 for every in searches for plus in (0, -1)):
            self.lived.waits_of_a_step = self.watch.waits - self.before


class SpikeOnce(Callback):
    """Asks once to go back, as after spikes of the loss."""

    def __init__(self, step: int, lived: Lived):
        self.step, self.lived = step, lived

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        if run.step == self.step and not self.lived.rollbacks:
            run.spikes, run.should_roll_back = 1, True

    def on_rollback_end(self, run: TrainingRun) -> None:
        self.lived.rollbacks += 1


@contextmanager
def fake_rank(layout: Layout, rank: int) -> Iterator[tuple[Mesh, DeviceWatch]]:
    """As rank ``rank`` of the whole job, whose device is a fake GPU."""
    os.environ.update(WORLD_SIZE=str(layout.world_size), RANK=str(rank), LOCAL_RANK="0")
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=layout.world_size)
    mesh = replace(start_mesh(layout, "cpu"), device=GPU)
    get_rank = dist.get_rank
    # Every rank writes files as the first one does.
    put(dist, "get_rank", lambda group=None: 0 if group is None else get_rank(group))
    with fake_gpu() as watch:
        yield mesh, watch


def live(job: Job, rank: int, sessions: tuple[int, ...] = (3, 6)) -> Lived:
    """First evaluation, steps, evaluation in the loop, a rollback, saves; again from what was saved; then scoring,
    generation and the fit of a temperature.

    ``sessions`` are the steps that each session ends with. Raises RuntimeError where devices are mixed, or the host
    waits where it may not.
    """
    bos, lived, first = Tokenizer.load(job.tokens / "tokenizer").bos, Lived(), 0
    without_files()
    with fake_rank(job.layout, rank) as (mesh, watch):
        for last in sessions:
            custom = Custom([CountWaits(watch, lived), SpikeOnce(first + 2, lived)])
            session = loop.train(job.model_copy(update={"stop_after": last}), mesh, bos, Ledger(None, None), custom)
            if (session["first_step"], session["last_step"]) != (first, last):
                raise RuntimeError(f"a session went from step {session['first_step']} to {session['last_step']}")
            first = last
        _answer(job, mesh)
        lived.steps, lived.operations, lived.waits = first, watch.on_gpu, watch.waits
    return lived


def _answer(job: Job, mesh: Mesh) -> None:
    """What evaluation, calibration and the red team ask: the trained model over the mesh, where one process is all of
    it the written model, too."""
    recipe, tokenizer = job.recipe, Tokenizer.load(job.tokens / "tokenizer")
    [newest, *_] = checkpoint.saved(job.folder / "checkpoints")
    _ask(MeshModel(recipe.name, spread(recipe, job.layout, mesh, [newest]), tokenizer))
    if job.layout.world_size == 1:
        with torch.device("meta"):
            model = outside(Llama)(recipe.model)
        _ask(LocalModel(recipe.name, model.to_empty(device=GPU), tokenizer, recipe.batch.sequence_length))


def _ask(model: LanguageModel) -> None:
    rows = [np.arange(length) for length in (7, 12)]
    windows = np.arange(model.context + 1)[None]
    model.losses(make_batch(windows, model.tokenizer.bos))
    model.score(rows)
    model.score_continuations([Continuation((1, 2, 3), (4,)), Continuation((1, 2, 3), (5, 6))])
    model.standardised(rows)
    model.generate([Row([1, 2], Sampling(2, temperature=0)), Row([1, 2, 3], Sampling(3, top_k=4, top_p=0.9))])
    model.matrix("lm_head")
    predicted = predictor(model)([Window("web.en", 0, rows[0]), Window("web.en", 1, rows[1])], "fit half")
    predicted.derivatives(1.0)
    predicted.judge([1.0, 1.5])
