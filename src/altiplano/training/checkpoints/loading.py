"""The tensors of a checkpoint: into a training, whatever its layout, into a model to ask, or beside another's.

Tensors are addressed by parameter name, so any layout can load what any other saved.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.tensor import DTensor

from altiplano.errors import InputError
from altiplano.records import CheckpointManifest
from altiplano.storage import remove_leftover
from altiplano.training.checkpoints.checkpoint import (
    DAMAGED,
    UNREADABLE,
    Condition,
    check,
    kept_aside,
    read_manifest,
    saved,
    set_aside,
    size,
    step_of,
)
from altiplano.training.checkpoints.reader import CheckpointReader

MOMENTS = ("exp_avg", "exp_avg_sq")


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


def choose_together(
    folder: Path, no_later_than: int | None = None, progress: Callable[[], None] = lambda: None
) -> tuple[Path | None, list[tuple[Path, Condition]]]:
    """The newest sound checkpoint, and the newer ones that cannot be used; the same on all processes, each of which
    reads its share of the files. Raises OSError on all of them when the first cannot list the folder."""
    rank, world = dist.get_rank(), dist.get_world_size()
    listed: list[Any] = [None]
    if rank == 0:
        try:
            listed = [saved(folder)]
        except OSError as error:
            listed = [error]
    dist.broadcast_object_list(listed, src=0)  # a folder on a network may not show everybody the same at once
    if isinstance(listed[0], OSError):
        raise listed[0]
    passed: list[tuple[Path, Condition]] = []
    for checkpoint in listed[0]:
        if no_later_than is None or step_of(checkpoint) <= no_later_than:
            conditions: list[Condition] = [Condition()] * world
            dist.all_gather_object(conditions, check(checkpoint, rank, world, progress))
            bad = [condition for condition in conditions if condition.problem]
            if not bad:
                return checkpoint, passed
            # One rank that reads other bytes than were written is enough to know that they are damaged.
            passed.append((checkpoint, next((one for one in bad if one.readable), bad[0])))
    return None, passed


def load_newest(
    folder: Path,
    tensors: dict[str, Any],
    no_later_than: int | None = None,
    *,
    published: int = 0,
    from_step_0: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> CheckpointManifest | None:
    """Load the newest sound checkpoint into ``tensors``; return its manifest, or None when there never was one.

    Newer ones that cannot be used are renamed, with a warning, and stay. All processes load the same one. Raises
    InputError when there are checkpoints, or ``published`` says that one of that step was written, and none can be
    used, unless ``from_step_0``; and when the checkpoint is of another model.
    """
    if dist.get_rank() == 0:
        for unfinished in folder.glob(".step-*"):  # of a killed run
            remove_leftover(unfinished)
    choice, passed = choose_together(folder, no_later_than, progress)
    if choice is None and not from_step_0:
        _refuse_to_begin_anew(folder, passed, published)
    if dist.get_rank() == 0:
        for checkpoint, condition in passed:
            place = set_aside(checkpoint, DAMAGED if condition.readable else UNREADABLE)
            instead = f"going on from step {step_of(choice):,}" if choice else "beginning at step 0"
            print(f"warning: {checkpoint.name} is {condition}; kept as {place.name}; {instead}", file=sys.stderr)
        if no_later_than is None and (aside := kept_aside(folder)):
            print(
                f"note: {len(aside)} checkpoints that were set aside take {size(aside) / 1e6:,.0f} MB in {folder} "
                f"({', '.join(path.name for path in aside)}); nothing removes them but you",
                file=sys.stderr,
            )
    if choice is None:
        return None
    reader = CheckpointReader(choice)
    reader.index = reader.read_metadata()
    check_shapes(choice, {name: tensor.shape for name, tensor in tensors.items()}, reader.index)
    progress()
    _read(tensors, reader)
    return read_manifest(choice)


def _read(tensors: dict[str, Any], reader: CheckpointReader) -> None:
    """What this process holds of the tensors. Each knows by itself what to read: the first need not plan it for all.
    Raises what went wrong as it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # as asked for
        try:
            dcp.load(tensors, storage_reader=reader, no_dist=True)
        except CheckpointException as error:
            cause, _ = next(iter(error.failures.values()))
            raise cause from error


def _refuse_to_begin_anew(folder: Path, passed: list[tuple[Path, Condition]], published: int) -> None:
    """Raise InputError unless there never was a checkpoint: beginning at step 0 would bury all that was trained."""
    how = "or begin at step 0 with --from-step-0, which keeps them"
    if passed:
        told = "; ".join(f"{path.name} is {condition}" for path, condition in passed[:3])
        more = f"; and {len(passed) - 3} more" if len(passed) > 3 else ""
        raise InputError(
            f"none of the {len(passed)} checkpoints in {folder} can be used: {told}{more}; mend that, {how}"
        )
    if published:
        raise InputError(
            f"{folder} has no checkpoint, and the ledger tells of one of step {published:,}: bring it back, {how}"
        )


def check_shapes(checkpoint: Path, wanted: dict[str, torch.Size], index: Metadata) -> None:
    """Raise InputError unless every wanted tensor is in the checkpoint, whose index is ``index``, with its shape."""
    there = index.state_dict_metadata
    for name, shape in wanted.items():
        entry = there.get(name)
        stored = getattr(entry, "size", None)
        if stored is None:
            raise InputError(f"{checkpoint} is of another model: it has no {name}")
        if stored != shape:
            raise InputError(f"{checkpoint} is of another model: {name} is {[*stored]} there and {[*shape]} here")


def load_one(
    checkpoint: Path, tensors: dict[str, Any], progress: Callable[[], None] = lambda: None
) -> CheckpointManifest:
    """Each process reads its own (shards of) ``tensors``, by their names in the whole checkpoint; all call it together.
    Raises InputError when the checkpoint is not there, damaged or of another model."""
    conditions = [Condition()] * dist.get_world_size()
    dist.all_gather_object(conditions, check(checkpoint, dist.get_rank(), dist.get_world_size(), progress))
    if bad := [condition for condition in conditions if condition.problem]:
        raise InputError(f"{checkpoint} is {bad[0]}; altiplano checkpoint verify shows which are sound")
    reader = CheckpointReader(checkpoint)
    reader.index = reader.read_metadata()  # once: that of a large one takes long
    check_shapes(checkpoint, {name: tensor.shape for name, tensor in tensors.items()}, reader.index)
    _read(tensors, reader)
    return read_manifest(checkpoint)


def load_sharded(checkpoints: Sequence[Path], parameters: dict[str, nn.Parameter]) -> None:
    """Each process reads its own (shards of) ``parameters``, by their names in the whole model, of several checkpoints
    their mean; all call it together. Raises as ``load_one``."""
    tensors: dict[str, Any] = {f"model.{name}": value.detach() for name, value in parameters.items()}
    held = {name: value.to_local() if isinstance(value, DTensor) else value for name, value in tensors.items()}
    sums: dict[str, Tensor] = {}
    for checkpoint in checkpoints:
        load_one(checkpoint, tensors)
        if len(checkpoints) > 1:
            for name, value in held.items():
                sums[name] = sums[name].add_(value) if name in sums else value.to(torch.float64, copy=True)
    for name, total in sums.items():
        held[name].copy_(total / len(checkpoints))


def different(one: Path, other: Path) -> str:
    """Name of the first tensor in which two checkpoints differ in any bit, read by this process alone; empty: none."""
    shapes = [CheckpointReader(path).read_metadata().state_dict_metadata for path in (one, other)]
    if missing := sorted(shapes[0].keys() ^ shapes[1].keys()):
        return missing[0]
    for name in sorted(shapes[0]):
        sizes = [getattr(of[name], "size", None) for of in shapes]
        if sizes[0] is None or sizes[0] != sizes[1]:
            return name
        values = [torch.empty(sizes[0], dtype=shapes[0][name].properties.dtype) for _ in shapes]  # type: ignore[union-attr]
        for path, value in zip((one, other), values, strict=True):
            _read({name: value}, CheckpointReader(path))
        if not torch.equal(*values):
            return name
    return ""


def load_weights(
    checkpoint: Path, shapes: dict[str, torch.Size], dtype: torch.dtype, index: Metadata | None = None
) -> dict[str, Tensor]:
    """Whole weights by name, read by this process alone. ``index``: what the checkpoint's own says of them, where that
    was read before."""
    reader = CheckpointReader(checkpoint, index)
    reader.index = reader.read_metadata()  # once
    weights = {f"model.{name}": torch.empty(size, dtype=dtype) for name, size in shapes.items()}
    _read(dict(weights), reader)
    return {name.removeprefix("model."): value for name, value in weights.items()}
