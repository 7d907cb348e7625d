"""What a rank of a training job does from start to end, whoever started it."""

import os
import platform
import signal
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from altiplano.errors import TrainingError
from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.processes import to_stop
from altiplano.planning.model_size import parameters, training_flops_per_token
from altiplano.records import StepMetrics, TrainingSummary
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.accounting import ledger
from altiplano.training.accounting.goodput import against_formula, goodput, sessions
from altiplano.training.accounting.hardware import keep_freed_memory
from altiplano.training.callbacks import Custom
from altiplano.training.export import write_weights
from altiplano.training.job import Job
from altiplano.training.loop import train
from altiplano.training.metrics import device_name
from altiplano.training.resilience import flight_recorder, incidents
from altiplano.training.resilience.heartbeat import Heartbeat, Watchdog, stack_shown_when_asked


def ledger_file(job: Job) -> Path:
    return job.folder / "ledger.jsonl"


def heartbeats_folder(job: Job) -> Path:
    """Where the ranks of this machine show signs of life."""
    return job.folder / ".heartbeats" / platform.node()


def run_job(job: Job, custom: Custom | None = None) -> dict[str, Any]:
    """Train, then let the first rank write ``run.json`` into the job's folder. ``export.py`` writes the weights."""
    rank = int(os.environ.get("RANK", "0"))
    write_collectives = None
    if records_collectives(job):
        flight_recorder.keep_collectives_in(job.folder, first=rank == 0)
        write_collectives = partial(flight_recorder.write_collectives, job.folder, rank)
    with stack_shown_when_asked(heartbeats_folder(job), rank, write_collectives):
        return _train_and_record(job, rank, custom)


def records_collectives(job: Job) -> bool:
    """Whether its ranks have a flight recorder: NCCL's."""
    return job.device == "cuda"


def _train_and_record(job: Job, rank: int, custom: Custom | None) -> dict[str, Any]:
    is_writer, recovery = rank == 0, job.recipe.recovery
    heartbeat = Heartbeat(heartbeats_folder(job), rank, recovery.hang_seconds, recovery.init_seconds)
    book = ledger.Ledger(ledger_file(job) if is_writer else None, heartbeat, job.begun)
    if is_writer and job.begun is None:  # nobody watches over this rank on this machine
        _check_progress(job)
        ledger.note(ledger_file(job), "start", **job.facts())
    tokenizer = Tokenizer.load(job.tokens / "tokenizer")
    keep_freed_memory()
    limit = min(recovery.hang_seconds, recovery.init_seconds)
    watchdog = Watchdog(heartbeats_folder(job), job.folder, limit, records_collectives(job))
    if job.begun is None:
        watchdog.start()
    try:
        mesh = start_mesh(job.layout, job.device)
        session = train(job, mesh, tokenizer.bos, book, custom)
    finally:
        watchdog.stop()
    book.enter(ledger.SAVE)
    dist.barrier()  # nobody leaves while another may still speak to it
    if is_writer:
        book.book(session["last_step"], "end")
        write_record(job, session)
    return session


def _check_progress(job: Job) -> None:
    """Raise TrainingError when torchrun keeps starting what does not get on: it counts restarts, not progress."""
    most, events = job.recipe.recovery.max_restarts, ledger.read(ledger_file(job))
    if not job.is_first_attempt and ledger.restarts_without_progress(events) >= most:
        raise TrainingError(
            f"started again {most} times without a new checkpoint: stopped; see the log above, and "
            f"{job.folder / 'incidents.jsonl'}"
        )


def run_job_here(job: Job, custom: Custom | None = None) -> None:
    """``run_job`` as the one rank, and the weights. The caller's program goes on afterwards: it gets its signal
    handlers back, and no process group or thread stays. Raises KeyboardInterrupt when a signal ended training, which
    has saved a checkpoint.
    """
    handlers = {number: signal.getsignal(number) for number in to_stop()}
    try:
        session = run_job(job, custom)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if dist.is_initialized():
            dist.destroy_process_group()
    if session["signalled"]:
        raise KeyboardInterrupt
    if session["finished"]:
        write_weights(job, verify=False)


def memory_of(job: Job, session: dict[str, Any]) -> list[int]:
    """Peak bytes by pipeline rank, of the last session that took a step: one that only writes weights needs less."""
    before = job.folder / "run.json"
    if session["last_step"] == session["first_step"] and before.exists():
        return TrainingSummary.read(before).memory_bytes
    return session["memory_bytes"] if session["last_step"] > session["first_step"] else []


def write_record(job: Job, session: dict[str, Any]) -> None:
    """``run.json``: what was trained on what for how long, over all sessions of this run."""
    recipe, layout = job.recipe, job.layout
    events = ledger.read(ledger_file(job))
    past = sessions(events)
    metrics = StepMetrics.read_lines(job.folder / "metrics.jsonl")
    devices = layout.world_size if job.device == "cuda" else 1
    flops = training_flops_per_token(recipe.model, recipe.batch.sequence_length)
    speed = statistics.median(metric.tokens_per_second for metric in metrics) if metrics else None
    record = TrainingSummary(
        finished=session["finished"],
        parameters=parameters(recipe.model),
        tokens=recipe.batch.tokens_after(session["last_step"]),
        steps=session["last_step"],
        world_size=layout.world_size,
        layout=str(layout),
        device=job.device,
        device_name=device_name(torch.device(job.device)),
        devices=devices,
        seconds=sum(one.seconds for one in past),
        restarts=len(past) - 1,
        goodput=goodput(events).model_copy(update={"formula": against_formula(events)}),
        memory_bytes=memory_of(job, session),
        incidents=incidents.read(job.folder),
        products=session["products"],
        **session["peak"],
        flops_per_token=flops,
        tokens_per_second=speed,
        # Of the peak as it is known now: the first steps may have been measured against a lower one.
        mfu=speed * flops / devices / session["peak"]["matmul_peak_flops"] if speed else None,
        torch=str(torch.__version__),
        python=sys.version.split()[0],
        sessions=past,
    )
    record.write(job.folder / "run.json")
