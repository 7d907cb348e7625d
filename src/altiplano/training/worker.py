"""One training job: what a rank does from start to the written weights. torchrun, a fork or the caller runs it."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from pydantic import BaseModel

from altiplano.errors import INTERRUPTED, InputError, TrainingError, explain_os_error
from altiplano.model.llama import Llama
from altiplano.model.weights import hugging_face_config, save_weights
from altiplano.parallel.local import die_with_parent, fork_ranks
from altiplano.parallel.mesh import start_mesh
from altiplano.planning.flops import parameters, training_flops_per_token
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training import checkpoint
from altiplano.training.allocator import keep_freed_memory
from altiplano.training.loop import train
from altiplano.training.metrics import device_name


class Job(BaseModel):
    recipe: Recipe
    layout: Layout
    device: str
    tokens: Path
    folder: Path
    stop_after: int | None = None


def run_job(job: Job) -> None:
    """Train, then let the first rank write ``weights/`` and ``run.json`` into the job's folder."""
    tokenizer = Tokenizer.load(job.tokens / "tokenizer")
    keep_freed_memory()
    mesh = start_mesh(job.layout, job.device)
    is_writer = dist.get_rank() == 0
    clock = time.monotonic()
    if is_writer:
        log_session(job, {"started": now()})
    session = train(job.recipe, job.layout, mesh, job.tokens, tokenizer.bos, job.folder, stop_after=job.stop_after)
    if is_writer:
        log_session(job, {"ended": now(), "seconds": round(time.monotonic() - clock, 3), **session})
        if session["finished"]:
            write_weights(job, tokenizer)
        write_record(job, session)
    dist.barrier()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def log_session(job: Job, event: dict[str, Any]) -> None:
    """One line when a session starts and one when it ends: a start without an end was killed."""
    with (job.folder / "sessions.jsonl").open("a") as file:
        file.write("\n" + json.dumps(event))  # a line of its own even after one that was cut short


def read_sessions(job: Job) -> list[dict[str, Any]]:
    """All sessions of this run; a killed one lacks ``ended``, ``seconds`` and its steps."""
    sessions: list[dict[str, Any]] = []
    for line in (job.folder / "sessions.jsonl").read_text().splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:  # the empty line before the first, or one cut short
            continue
        if "started" in event or not sessions:
            sessions.append(event)
        else:
            sessions[-1] |= event
    return sessions


def write_weights(job: Job, tokenizer: Tokenizer) -> None:
    """Whole weights from the last checkpoint, as safetensors with ``config.json``; the bytes depend on values alone."""
    last = checkpoint.newest_sound(job.folder / "checkpoints")
    if last is None:
        raise TrainingError("no sound checkpoint to write the weights from: free disk space and run the command again")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Llama(job.recipe.model).named_parameters()}
    dtype = torch.float64 if job.recipe.precision.compute == "float64" else torch.float32
    weights = checkpoint.load_weights(last, shapes, dtype)
    folder = job.folder / "weights"
    folder.mkdir(exist_ok=True)
    save_weights([(name, value.float()) for name, value in weights.items()], folder)
    config = hugging_face_config(
        job.recipe.model, job.recipe.batch.sequence_length, bos=tokenizer.bos, eos=tokenizer.eos
    )
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write_record(job: Job, session: dict[str, Any]) -> None:
    """``run.json``: what was trained on what for how long, over all sessions of this run."""
    recipe, layout = job.recipe, job.layout
    sessions = read_sessions(job)
    metrics = [json.loads(line) for line in (job.folder / "metrics.jsonl").read_text().splitlines()]
    devices = layout.world_size if job.device == "cuda" else 1
    record = {
        "finished": session["finished"],
        "parameters": parameters(recipe.model),
        "tokens": recipe.batch.tokens_after(session["last_step"]),
        "steps": session["last_step"],
        "world_size": layout.world_size,
        "layout": str(layout),
        "device": job.device,
        "device_name": device_name(torch.device(job.device)),
        "devices": devices,
        "seconds": sum(past.get("seconds", 0.0) for past in sessions),
        "restarts": len(sessions) - 1,
        "matmul_peak_flops": session["matmul_peak_flops"] / devices,
        "flops_per_token": training_flops_per_token(recipe.model, recipe.batch.sequence_length),
        "mfu": sorted(metric["mfu"] for metric in metrics)[len(metrics) // 2] if metrics else None,
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "sessions": sessions,
    }
    (job.folder / "run.json").write_text(json.dumps(record, indent=1) + "\n")


def main() -> int:
    """``python -m altiplano.training.worker JOB.json``: fork the layout's ranks on this machine's CPU."""
    die_with_parent()
    job = Job.model_validate_json(Path(sys.argv[1]).read_text())
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // job.layout.world_size))

    def rank() -> int:
        try:
            run_job(job)
        except InputError as error:
            return _complain(error, 2)
        except TrainingError as error:
            return _complain(error, 1)
        except KeyboardInterrupt:
            return INTERRUPTED
        except OSError as error:
            explanation = explain_os_error(error)
            if explanation is None:
                raise
            return _complain(explanation, 2)
        return 0

    return fork_ranks(job.layout.world_size, rank)


def _complain(error: Exception | str, code: int) -> int:
    if dist.get_rank() == 0 if dist.is_initialized() else os.environ["RANK"] == "0":
        print(f"altiplano: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
