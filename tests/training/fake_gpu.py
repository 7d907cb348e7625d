"""A rank of a training job on a GPU that is not there: ``python fake_gpu.py JOB.json RANK [mix]``.

The job's own code runs from its first evaluation to its last save, and is then started again from that checkpoint.
Its tensors are PyTorch's fake ones, with a device, a shape and a type, and no content; its process group has as many
ranks as the layout and sends nothing. An operation that mixes devices raises, as it does on a GPU.

What is not the real thing, and why:

- the GPU is called ``cpu:1``, and such tensors say that they are on CUDA: fake tensors on ``cuda`` take no gradient in
  a PyTorch that was built without it
- numbers read from a tensor on the GPU: the number it was made from, where that is known, else 1; no two tensors differ
- collectives of objects: every rank says what this one says; every rank writes files as the first one does
- FlexAttention: compiled it would need a GPU; PyTorch's fused attention, after a look at the devices of the mask
- checkpoint files: what is saved must be on the CPU, what is loaded is copied to where it belongs, as DCP does
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.fsdp._fully_shard import _fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from altiplano.model import attention
from altiplano.parallel import parallelize
from altiplano.parallel.mesh import start_mesh
from altiplano.rehearsal.fake_process_group import skip_vote
from altiplano.tokens.loader import Batch
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training import callbacks, loop, trainer
from altiplano.training.accounting.ledger import Ledger
from altiplano.training.checkpoints import checkpoint, saving
from altiplano.training.job import Job

aten = torch.ops.aten
GPU = torch.device("cpu", 1)
ATTENDED: list[Any] = []
KNOWN: dict[int, tuple[Tensor, Any]] = {}
"""Numbers that tensors were made from, by the tensor's id, and the tensor, so that the id stays its own."""


class OneDevice(TorchDispatchMode):
    """What fake tensors let pass: an index on the GPU into a tensor on the CPU. And numbers, where they are known."""

    def __init__(self) -> None:
        super().__init__()
        self.on_gpu = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        named = named or {}
        if function in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default):
            whole, places = arguments[0], [place for place in arguments[1] if place is not None]
            if any(place.device != whole.device and place.device == GPU for place in places):
                raise RuntimeError(f"indices on {places[0].device} for a tensor on {whole.device}")
        tensors = [leaf for leaf in tree_leaves((arguments, named)) if isinstance(leaf, Tensor)]
        if (
            tensors
            and all(_is_real(tensor) for tensor in tensors)
            and torch.device(named.get("device") or "cpu") != GPU
        ):
            with _disable_current_modes():
                return function(*arguments, **named)
        if function is aten.nonzero.default:
            return arguments[0].new_empty(0, arguments[0].dim(), dtype=torch.int64)
        if function is aten._local_scalar_dense.default:
            return self.number(arguments[0])
        if function is aten.equal.default:
            assert arguments[0].device == arguments[1].device
            return True
        result = function(*arguments, **named)
        self.on_gpu += any(isinstance(leaf, Tensor) and leaf.device == GPU for leaf in tree_leaves(result))
        return result

    def number(self, tensor: Tensor) -> Any:
        kept = KNOWN.get(id(tensor))
        one = 1.0 if tensor.is_floating_point() else True if tensor.dtype is torch.bool else 1
        return one if kept is None else kept[1]


def _is_real(tensor: Tensor) -> bool:
    return type(tensor) is Tensor and tensor.device == torch.device("cpu")


def outside(function: Any) -> Any:
    def called(*arguments: Any, **named: Any) -> Any:
        with _disable_current_modes():
            return function(*arguments, **named)

    return called


def detours() -> None:
    torch.Tensor.is_cuda = property(lambda tensor: tensor.device == GPU)
    _fully_shard._get_device_from_mesh = lambda mesh: GPU
    # A number goes to a device by a copy; between two CPUs PyTorch leaves that out.
    tensor = torch.tensor

    def on_device(values: Any, device: Any = None, **rest: Any) -> Tensor:
        made = tensor(values, **rest).to(device or "cpu")
        if isinstance(values, int | float):
            KNOWN[id(made)] = (made, values)
        return made

    torch.tensor = on_device
    skip_vote()
    # A model on the meta device, and places in it, are the same without fake tensors.
    for name in ("Llama", "compute_local_shape_and_global_offset"):
        setattr(parallelize, name, outside(getattr(parallelize, name)))

    def all_gather_object(gathered: list[Any], mine: Any, group: Any = None) -> None:
        gathered[:] = [mine] * len(gathered)

    dist.all_gather_object = all_gather_object
    dist.broadcast_object_list = lambda objects, src=None, group=None, **rest: None
    new_group = dist.new_group
    dist.new_group = lambda ranks=None, backend=None, **rest: new_group(ranks, backend="fake", **rest)
    any_rank = trainer.any_rank

    def any_rank_as_here(mesh: Any, *flags: bool) -> list[bool]:
        any_rank(mesh, *flags)
        return list(flags)

    trainer.any_rank = callbacks.any_rank = any_rank_as_here

    def flex_attention(
        q: Tensor, k: Tensor, v: Tensor, block_mask: Any, enable_gqa: bool, kernel_options: Any
    ) -> Tensor:
        ATTENDED.append(block_mask)
        assert block_mask.kv_indices.device == block_mask.kv_num_blocks.device == q.device == GPU
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=False, enable_gqa=enable_gqa)

    attention._compiled_flex_attention = lambda: flex_attention

    def save(tensors: dict[str, Tensor], checkpoint_id: Path, process_group: Any) -> None:
        assert all(tensor.device == torch.device("cpu") for tensor in tensors.values())
        checkpoint_id.mkdir()
        (checkpoint_id / ".metadata").write_text(" ".join(tensors))

    def load(tensors: dict[str, Tensor], storage_reader: Any) -> None:
        assert (Path(storage_reader.path) / ".metadata").read_text().split() == list(tensors)
        for tensor in tensors.values():
            tensor.copy_(torch.zeros_like(tensor, device="cpu"))

    saving.dcp.save, checkpoint.dcp.load = save, load
    checkpoint.check_shapes = lambda checkpoint, wanted: None


def main() -> int:
    """With a third argument batches stay on the CPU: the mistake that this is there to find."""
    if len(sys.argv) > 3:
        Batch.to = lambda batch, device: batch
    job = Job.model_validate_json(Path(sys.argv[1]).read_text())
    rank = int(sys.argv[2])
    os.environ.update(WORLD_SIZE=str(job.layout.world_size), RANK=str(rank), LOCAL_RANK="0")
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=job.layout.world_size)
    detours()
    mesh = replace(start_mesh(job.layout, "cpu"), device=GPU)
    get_rank = dist.get_rank
    dist.get_rank = lambda group=None: 0 if group is None else get_rank(group)
    bos = Tokenizer.load(job.tokens / "tokenizer").bos
    for first, last in ((0, 2), (2, 4)):
        seen = OneDevice()
        with FakeTensorMode(allow_non_fake_inputs=True), seen:
            session = loop.train(job.model_copy(update={"stop_after": last}), mesh, bos, Ledger(None, None))
        assert (session["first_step"], session["last_step"]) == (first, last), session
        assert seen.on_gpu > 1000, seen.on_gpu
        assert ATTENDED
        ATTENDED.clear()
    print("lived")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # an interpreter that shuts down with process groups sometimes aborts
