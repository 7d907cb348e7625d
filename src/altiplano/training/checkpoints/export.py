"""From a checkpoint to weights under Hugging Face's names, by several processes together.

Each writes whole files of its own, reads of the checkpoint no more than the tensor that it is writing, and hashes what
it writes on its way. The first process reads the checkpoint's index once and gives each the part that its files need:
for 405 billion parameters it takes 20 s to read. The index of the weights is written last, when all files are there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.metadata import Metadata

from altiplano.errors import Fault, InputError
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import SHARD_BYTES, weight_files, write_file, write_index
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.schema import ModelConfig, Recipe
from altiplano.storage import Damaged, write_json
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints.checkpoint import DAMAGED, check, read_manifest, set_aside
from altiplano.training.checkpoints.loading import load_weights
from altiplano.training.checkpoints.reader import CheckpointReader

Files = dict[str, list[str]]


def export_dtype(recipe: Recipe) -> torch.dtype:
    """Of the written weights: bfloat16 where they were multiplied in it, so that nothing that computed is lost."""
    return torch.bfloat16 if recipe.precision.compute == "bfloat16" else torch.float32


def export_files(shape: ModelConfig, dtype: torch.dtype) -> Files:
    """Which file holds which parameters."""
    return weight_files(_sizes(shape, dtype))


def export_weights(
    checkpoints: Mapping[int, Path],
    recipe: Recipe,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    verify: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> dict[str, str]:
    """Write safetensors and ``config.json`` on all processes of the process group, or on this one where there is none.

    ``checkpoints``: by their steps, ascending; of several the mean is written, each tensor's computed in float64.
    Returns, on the first, the sha256 of each file of weights. The bytes depend on the weights alone, not on how many
    processes write them. With ``verify`` every byte of the last checkpoint is read and checked first, each process its
    share; that of earlier ones always is. Raises Fault unless each is of its step, InputError when one is missing, or
    damaged: it is set aside then.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    last = max(checkpoints)
    for step, checkpoint in checkpoints.items():
        if verify or step < last:
            _verify(checkpoint, rank, world)
    dtype, trained = export_dtype(recipe), torch.float64 if recipe.precision.compute == "float64" else torch.float32
    sizes = _sizes(recipe.model, dtype)
    files = weight_files(sizes, shard_bytes)
    if rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.safetensors*"):  # of an export that was interrupted, perhaps into other files
            stale.unlink()
    indices = {path: _scattered(path, step, files, rank, world) for step, path in checkpoints.items()}

    def load(name: str) -> Tensor:
        shape = {name: sizes[name][0]}
        return mean(load_weights(path, shape, trained, index)[name] for path, index in indices.items()).to(dtype)

    mine = [*files][rank::world]
    digests = {name: write_file(folder / name, {one: sizes[one] for one in files[name]}, load) for name in mine}
    found: list[dict[str, str]] = [digests] * world
    if world > 1:
        dist.all_gather_object(found, digests)
    if rank == 0:
        context = recipe.batch.sequence_length
        of_type = str(dtype).removeprefix("torch.")
        config = hugging_face_config(recipe.model, context, bos=tokenizer.bos, eos=tokenizer.eos, dtype=of_type)
        write_json(folder / "config.json", config, indent=2)
        write_index(sizes, files, folder)
    return {name: digest for part in found for name, digest in part.items()}


def mean(values: Iterable[Tensor]) -> Tensor:
    """Of tensors of one shape and type, summed in float64 in their order; a single one is returned as it is."""
    every = iter(values)
    first = next(every)
    total, count = None, 1
    for value in every:
        total = (first.double() if total is None else total).add_(value)
        count += 1
    return first if total is None else (total / count).to(first.dtype)


def _sizes(shape: ModelConfig, dtype: torch.dtype) -> dict[str, tuple[torch.Size, torch.dtype]]:
    with torch.device("meta"):
        return {name: (value.shape, dtype) for name, value in Llama(shape).named_parameters()}


def _verify(checkpoint: Path, rank: int, world: int) -> None:
    condition = check(checkpoint, rank, world)
    conditions = [condition] * world
    if world > 1:
        dist.all_gather_object(conditions, condition)
    bad = [one for one in conditions if one.problem]
    if not bad:
        return
    if any(one.readable for one in bad):  # other bytes than were written; what cannot be read may be sound
        place = set_aside(checkpoint, DAMAGED) if rank == 0 else checkpoint
        raise InputError(
            f"{checkpoint.name} is {bad[0]}; kept as {place.name}: altiplano train goes on from an earlier one"
        )
    raise InputError(f"{checkpoint} is {bad[0]}: mend that, then the same command goes on")


def _scattered(checkpoint: Path, step: int, files: Files, rank: int, world: int) -> Metadata:
    """What the checkpoint's index says of the tensors in this process's files."""
    parts: list[Metadata] = []
    if rank == 0:
        try:
            found = read_manifest(checkpoint).step
        except (OSError, Damaged) as error:
            raise Fault(f"the weights of step {step:,} cannot be written: {checkpoint.name}: {error}") from error
        if found != step:
            raise Fault(f"the weights of step {step:,} cannot be written: {checkpoint} is of step {found:,}")
        whole = CheckpointReader(checkpoint).read_metadata()
        for other in range(world):
            wanted = {f"model.{name}" for file in [*files][other::world] for name in files[file]}
            parts.append(_restricted(whole, wanted))
    if world == 1:
        return parts[0]
    mine: list[Metadata] = [Metadata({})]
    dist.scatter_object_list(mine, parts or None, src=0)
    return mine[0]


def _restricted(index: Metadata, wanted: set[str]) -> Metadata:
    return replace(
        index,
        state_dict_metadata={name: value for name, value in index.state_dict_metadata.items() if name in wanted},
        planner_data={name: value for name, value in (index.planner_data or {}).items() if name in wanted},
        storage_data={place: value for place, value in (index.storage_data or {}).items() if place.fqn in wanted},
    )
