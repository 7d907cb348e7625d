"""The training loop: it reads top to bottom, the same for every layout."""

import time
from typing import Any

from altiplano.parallel.mesh import Mesh
from altiplano.training.accounting.ledger import COMPUTE, DATA, INIT, SAVE, VALIDATION, Ledger
from altiplano.training.accounting.peak import MeasureThroughput
from altiplano.training.callbacks import Custom, TrainingRun
from altiplano.training.checkpoints.saving import SaveCheckpoints
from altiplano.training.garbage import CollectGarbage
from altiplano.training.job import Job
from altiplano.training.metrics import MetricsWriter, memory_by_pipeline_rank
from altiplano.training.optimizer import learning_rate
from altiplano.training.profiling import Profiler
from altiplano.training.resilience.interruption import Interruption
from altiplano.training.resilience.rollback import RollBackSpikes, roll_back
from altiplano.training.resilience.stragglers import ReportSlowRanks
from altiplano.training.trainer import prepare


def train(job: Job, mesh: Mesh, bos: int, ledger: Ledger, custom: Custom | None = None) -> dict[str, Any]:
    """Train to the recipe's last step (or ``job.stop_after``) from the newest checkpoint, if there is one.

    Writes metrics, held-out scores and checkpoints into the job's folder; returns what this session did. Raises
    TrainingError when training cannot go on, Fault when starting again may help, OSError when the last checkpoint
    could not be written.
    """
    recipe, custom = job.recipe, custom or Custom()
    interruption = Interruption()
    trainer = prepare(job, mesh, bos, ledger.progress, custom.loss, custom.schedule or learning_rate)
    steps = recipe.batch.steps
    run = TrainingRun(job, mesh, trainer, ledger, trainer.done, min(steps, job.stop_after or steps))
    writer = MetricsWriter(job, trainer.done)
    callbacks = [
        MeasureThroughput(mesh, job),
        Profiler(job),
        writer,
        RollBackSpikes(writer),
        ReportSlowRanks(),
        CollectGarbage(),
        *custom.callbacks,
        SaveCheckpoints(),
        interruption,
    ]

    def call(hook: str, *arguments: Any) -> None:
        for callback in callbacks:
            getattr(callback, hook)(run, *arguments)

    call("on_train_begin")
    ledger.book(run.step, "resume")
    if run.step == 0:
        ledger.enter(VALIDATION)
        call("on_evaluate", trainer.evaluate())
    try:
        while run.step < run.end and not run.is_stopping:
            begun = time.monotonic()
            run.should_roll_back = False
            call("on_step_begin")
            ledger.enter(DATA)
            batch = trainer.batch()
            waited = time.monotonic() - begun
            ledger.enter(COMPUTE)
            metrics = trainer.step(batch, run.asked)
            metrics.seconds, metrics.data_seconds = time.monotonic() - begun, waited
            call("on_step_end", metrics)
            run.agree()
            if run.should_roll_back:
                call("on_rollback_begin")
                roll_back(run)
                ledger.book(run.step, "rollback")
                call("on_rollback_end")
                continue
            if run.is_evaluation_due:
                ledger.enter(VALIDATION)
                call("on_evaluate", trainer.evaluate())
            if run.is_rolling_save_due or run.is_permanent_save_due:
                run.should_save = False
                ledger.enter(SAVE)
                call("on_save")
            metrics.spent = ledger.book(run.step)
            call("on_log", metrics)
    finally:
        trainer.close()
    ledger.enter(SAVE)
    call("on_train_end")
    ledger.enter(INIT)
    return {
        "first_step": run.first_step,
        "last_step": run.step,
        "finished": run.step >= steps,
        "interrupted": run.is_stopping and run.step < run.end,
        "products": str(trainer.model.products) if trainer.model.products else None,
        "memory_bytes": memory_by_pipeline_rank(mesh),
        **run.results,
    }
