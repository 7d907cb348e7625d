"""What a checkpoint is: a torch.distributed.checkpoint folder with a manifest of checksums, published by rename.

Tensors are addressed by parameter name, so any layout can load what any other saved. ``saving.py`` writes them.
"""

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn

from altiplano.disk import digest
from altiplano.errors import InputError

MOMENTS = ("exp_avg", "exp_avg_sq")
MANIFEST = "manifest.json"
Manifest = dict[str, Any]


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


def set_optimizer_updates(parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, updates: int) -> None:
    """Tell AdamW's bias correction how many updates there were; skipped ones do not count."""
    for parameter in parameters.values():
        optimizer.state[parameter]["step"].fill_(updates)


def saved(folder: Path) -> list[Path]:
    """Published checkpoints, newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def read_manifest(checkpoint: Path) -> Manifest:
    manifest: Manifest = json.loads((checkpoint / MANIFEST).read_text())
    return manifest


def check(checkpoint: Path, part: int = 0, of: int = 1) -> str:
    """What is wrong with a checkpoint; empty when every file is as it was written.

    With ``part`` and ``of`` only that share of the files is read, so that many processes can do it together.
    """
    try:
        files = read_manifest(checkpoint)["files"]
        if ".metadata" not in files:
            return "its manifest does not name .metadata"
        for name, written in sorted(files.items())[part::of]:
            if digest(checkpoint / name) != written:
                return f"{name} has changed"
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def newest_sound(folder: Path, no_later_than: int | None = None) -> Path | None:
    """The newest undamaged checkpoint, read by this process alone; damaged ones are named on stderr."""
    for checkpoint in saved(folder):
        if no_later_than is None or step_of(checkpoint) <= no_later_than:
            if not (problem := check(checkpoint)):
                return checkpoint
            _warn_of_damage(checkpoint, problem)
    return None


def newest_sound_together(folder: Path, no_later_than: int | None = None) -> Path | None:
    """As ``newest_sound``, on all processes together: each reads its share of the files."""
    rank, world = dist.get_rank(), dist.get_world_size()
    candidates: list[list[Path]] = [saved(folder)]
    dist.broadcast_object_list(candidates, src=0)  # a folder on a network may not show everybody the same at once
    for checkpoint in candidates[0]:
        if no_later_than is None or step_of(checkpoint) <= no_later_than:
            problems: list[str] = [""] * world
            dist.all_gather_object(problems, check(checkpoint, rank, world))
            if not any(problems):
                return checkpoint
            if rank == 0:
                _warn_of_damage(checkpoint, next(problem for problem in problems if problem))
    return None


def _warn_of_damage(checkpoint: Path, problem: str) -> None:
    print(f"warning: {checkpoint.name} is damaged ({problem}); falling back to the one before", file=sys.stderr)


def load_newest(folder: Path, tensors: dict[str, Any], no_later_than: int | None = None) -> Manifest | None:
    """Load the newest sound checkpoint into ``tensors``; return its manifest, or None when there is none.

    Damaged ones are passed over with a warning. All processes load the same one. Raises InputError when it is of
    another model.
    """
    if dist.get_rank() == 0:
        for unfinished in folder.glob(".step-*"):  # of a killed run
            shutil.rmtree(unfinished, ignore_errors=True)
    choice = newest_sound_together(folder, no_later_than)
    if choice is None:
        return None
    check_shapes(choice, {name: tensor.shape for name, tensor in tensors.items()})
    dcp.load(tensors, checkpoint_id=choice)
    return read_manifest(choice)


def check_shapes(checkpoint: Path, wanted: dict[str, torch.Size]) -> None:
    """Raise InputError unless every wanted tensor is in the checkpoint with its shape."""
    there = dcp.FileSystemReader(checkpoint).read_metadata().state_dict_metadata
    for name, size in wanted.items():
        entry = there.get(name)
        stored = getattr(entry, "size", None)
        if stored is None:
            raise InputError(f"{checkpoint} is of another model: it has no {name}")
        if stored != size:
            raise InputError(f"{checkpoint} is of another model: {name} is {[*stored]} there and {[*size]} here")


def load_weights(checkpoint: Path, shapes: dict[str, torch.Size], dtype: torch.dtype) -> dict[str, Tensor]:
    """Whole weights by name, read by this process alone."""
    weights = {f"model.{name}": torch.empty(size, dtype=dtype) for name, size in shapes.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # as asked for
        dcp.load(dict(weights), checkpoint_id=checkpoint, no_dist=True)
    return {name.removeprefix("model."): value for name, value in weights.items()}
