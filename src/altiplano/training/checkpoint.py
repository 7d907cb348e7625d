"""Checkpoints: a torch.distributed.checkpoint folder with a manifest of checksums, published by rename.

Tensors are addressed by parameter name, so any layout can load what any other saved.
"""

import errno
import json
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException

from altiplano.disk import digest, sync

MOMENTS = ("exp_avg", "exp_avg_sq")
MANIFEST = "manifest.json"


def training_tensors(parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Weights and optimizer moments of this process by name; moments that do not exist yet are made, as zeros."""
    tensors: dict[str, Any] = {}
    for name, parameter in parameters.items():
        state = optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            for moment in MOMENTS:
                state[moment] = torch.zeros_like(parameter, memory_format=torch.preserve_format).detach()
        tensors[f"model.{name}"] = parameter.detach()
        for moment in MOMENTS:
            tensors[f"{moment}.{name}"] = state[moment]
    return tensors


def set_optimizer_step(parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, step: int) -> None:
    for parameter in parameters.values():
        optimizer.state[parameter]["step"].fill_(step)


def save(folder: Path, step: int, tensors: dict[str, Any], facts: dict[str, Any], keep: int, *, last: bool) -> None:
    """Write ``folder/step-NNNNNNNN`` on all processes together, then forget all but the newest ``keep``.

    When the disk is full or fails, the earlier checkpoints stay, a warning is printed and training can go on; unless it
    is the ``last`` of this session, without which its work would be lost: then OSError is raised.
    """
    rank = dist.get_rank()
    final, unfinished = folder / f"step-{step:08d}", folder / f".step-{step:08d}"
    if rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
    dist.barrier()
    reason = ""
    try:
        dcp.save(tensors, checkpoint_id=unfinished)
        if rank == 0:
            _publish(unfinished, final, {"step": step, **facts})
    except (CheckpointException, OSError) as error:  # of any rank: DCP raises on all of them
        reason = _first_line(error)
    outcome = [reason]
    dist.broadcast_object_list(outcome, src=0)
    if not outcome[0]:
        if rank == 0:
            _prune(folder, final, keep)
        return
    full = shutil.disk_usage(folder).free < sum(tensor.nbytes for tensor in tensors.values())
    reason = os.strerror(errno.ENOSPC) if full else outcome[0]
    dist.barrier()
    if rank == 0:
        shutil.rmtree(unfinished, ignore_errors=True)
    if last:
        raise OSError(errno.ENOSPC if full else errno.EIO, reason, str(final))
    if rank == 0:
        print(f"warning: no checkpoint at step {step}: {reason}; earlier ones are kept", file=sys.stderr)


def _prune(folder: Path, newest: Path, keep: int) -> None:
    """Keep ``newest`` and those before it. Later ones were damaged, or this run would have started from them."""
    saved = _saved(folder)
    place = saved.index(newest)
    for old in [*saved[:place], *saved[place + keep :]]:
        shutil.rmtree(old, ignore_errors=True)


def _publish(unfinished: Path, final: Path, manifest: dict[str, Any]) -> None:
    files = sorted(file for file in unfinished.iterdir() if file.is_file())
    manifest["files"] = {file.name: digest(file) for file in files}
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    for file in [*files, unfinished / MANIFEST, unfinished]:
        sync(file)
    shutil.rmtree(final, ignore_errors=True)
    unfinished.rename(final)
    sync(final.parent)


def load_newest(folder: Path, tensors: dict[str, Any]) -> dict[str, Any] | None:
    """Load the newest sound checkpoint into ``tensors``; return its manifest, or None when there is none.

    Damaged checkpoints are passed over with a warning. All processes load the same one.
    """
    choice: list[Path | None] = [None]
    if dist.get_rank() == 0:
        for unfinished in folder.glob(".step-*"):  # of a killed run
            shutil.rmtree(unfinished)
        choice = [newest_sound(folder)]
    dist.broadcast_object_list(choice, src=0)
    if choice[0] is None:
        return None
    dcp.load(tensors, checkpoint_id=choice[0])
    return json.loads((choice[0] / MANIFEST).read_text())


def newest_sound(folder: Path) -> Path | None:
    for checkpoint in _saved(folder):
        problem = check(checkpoint)
        if not problem:
            return checkpoint
        print(f"warning: {checkpoint.name} is damaged ({problem}); falling back to the one before", file=sys.stderr)
    return None


def check(checkpoint: Path) -> str:
    """What is wrong with a checkpoint; empty when every file is as it was written."""
    try:
        files = json.loads((checkpoint / MANIFEST).read_text())["files"]
        for name, written in files.items():
            if digest(checkpoint / name) != written:
                return f"{name} has changed"
    except (OSError, json.JSONDecodeError, KeyError) as error:
        return _first_line(error)
    return ""


def load_weights(checkpoint: Path, shapes: dict[str, torch.Size], dtype: torch.dtype) -> dict[str, Tensor]:
    """Whole weights by name, read by this process alone."""
    weights = {f"model.{name}": torch.empty(size, dtype=dtype) for name, size in shapes.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # as asked for
        dcp.load(dict(weights), checkpoint_id=checkpoint, no_dist=True)
    return {name.removeprefix("model."): value for name, value in weights.items()}


def _saved(folder: Path) -> list[Path]:
    """Published checkpoints, newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if "Error" in line]
    return (causes or lines or [type(error).__name__])[-1][:200]
