"""A fake GPU, and the other ranks of a job: PyTorch's fake tensors and a process group that sends nothing.

Tensors have a device, a shape and a type, and no content. An operation that mixes devices raises, as it does on a GPU,
and so does every wait of the host for the GPU at a place that is not named in ``WAITS``.

What is not the real thing, and why:

- the GPU is called ``cpu:1``, and such tensors say that they are on CUDA: fake tensors on ``cuda`` take no gradient in
  a PyTorch that was built without it
- numbers read from a tensor on the GPU: the number it was made from, where that is known, else 1; no two tensors differ
- collectives of objects, and what ranks tell the first one: every rank says what this one says
- FlexAttention: compiled it would need a GPU; PyTorch's fused attention, after a look at the devices of the mask
- checkpoint files: what is saved must be on the CPU, what is loaded is copied to where it belongs, as DCP does
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.distributed.fsdp._fully_shard import _fully_shard
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from altiplano.model import attention
from altiplano.parallel import parallelize
from altiplano.rehearsal.fake_process_group import skip_vote
from altiplano.training import trainer
from altiplano.training.checkpoints import loading, saving, staging, writing
from altiplano.training.checkpoints.reader import CheckpointReader

aten = torch.ops.aten
GPU = torch.device("cpu", 1)
CPU = torch.device("cpu")

WAITS = {
    "training/trainer.py:_on_all_ranks": "once a step: the loss, the gradient's norm, whether one asks to stop or save",
    "training/trainer.py:reduce": "once an evaluation: the summed losses",
    "training/checkpoints/loading.py:_read": "at a start, or a rollback: what is loaded",
    "parallel/context.py:context_shard": "once, at a start",
    "evaluation/perplexity.py:heldout_losses": "the losses of each scored batch",
    "parallel/pipeline.py:read": "how many rows the rank with most has, once a scored batch",
    "training/resilience/corruption.py:compare": "once a search for corruption: whether anything was found",
    "training/resilience/corruption.py:_changed": "which weights changed, once some did",
    "training/resilience/corruption.py:_unlike": "which replicas differ, once some do",
    "training/resilience/stragglers.py:_work": "the timed probe of a search for slow ranks",
    "training/resilience/stragglers.py:compare": "the times of all ranks",
    "training/checkpoints/staging.py:take": "the copy of the state that is saved",
    "training/metrics.py:memory_by_pipeline_rank": "once, at the end",
    "parallel/asking.py:_ask": "the answer of the ranks, once a question",
    "parallel/asking.py:keep": "which tokens of a batch are asked for",
    "inference/log_probabilities.py:hidden_rows": "the tokens of a scored batch",
    "inference/log_probabilities.py:score": "a row's targets, its log-probabilities",
    "inference/log_probabilities.py:standardised": "the same",
    "inference/continuations.py:_score": "which places predict, log-probabilities, the greedy tokens",
    "inference/continuations.py:_of_tokens": "the tokens of a batch of continuations",
    "inference/generate.py:stream": "the prompts, the chosen tokens as the next input",
    "inference/generate.py:_choose": "settings of the rows, and what NumPy's generators draw, once a token",
    "inference/generate.py:record": "the chosen tokens and their log-probabilities, once a token",
    "inference/language_model.py:matrix": "the matrix",
    "model/attention.py:__init__": "which segments see which, once a batch of continuations",
    "model/attention.py:_mask": "the same",
    "model/attention.py:keep": "which rows go on, when some have ended",
    "calibration/predictions.py:predict": "hidden states, once a row",
}
"""Where the host may wait for the device, by file and function: and why."""
PINNED = {"tokens/loader.py:to"}
"""Copies from pinned memory, which nothing waits for on a GPU that is called by its name."""
READS = (aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.masked_select.default)
MADE_OF_OTHERS = (aten.item, aten.is_nonzero, aten.to)
"""What arrives as it is in inference mode, and else as the operations that it is made of."""
INDEXED = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default)
PACKAGE = Path(__file__).parents[1]


class DeviceWatch(TorchDispatchMode):
    """What fake tensors let pass: an index on the GPU into a tensor on the CPU, an optimizer's lists of tensors on two
    devices, and waits for the GPU, which it counts by place. And numbers, where they are known."""

    def __init__(self) -> None:
        super().__init__()
        self.on_gpu = 0
        """Operations with a result on the GPU."""
        self.waits: Counter[str] = Counter()
        self.numbers: dict[int, tuple[Tensor, Any]] = {}
        """Numbers that tensors were made from, by the tensor's id, and the tensor, so that the id stays its own."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        named = named or {}
        if function.overloadpacket in MADE_OF_OTHERS:
            with self:
                return function.decompose(*arguments, **named)
        if function in INDEXED:
            _check_index(arguments[0], arguments[1])
        tensors = [leaf for leaf in tree_leaves((arguments, named)) if isinstance(leaf, Tensor)]
        if function.__name__.startswith(("_foreach", "_fused")) and len({tensor.device for tensor in tensors}) > 1:
            raise RuntimeError(f"{function} of tensors on {CPU} and {GPU}")
        if tensors and all(map(_is_real, tensors)) and torch.device(named.get("device") or "cpu") != GPU:
            with _disable_current_modes():
                return function(*arguments, **named)
        if _waits(function, arguments, named):
            self.wait()
        if function is aten.nonzero.default:
            return arguments[0].new_empty(0, arguments[0].dim(), dtype=torch.int64)
        if function in INDEXED:
            arguments = (arguments[0], _chosen(arguments[1]), *arguments[2:])
        if function is aten._local_scalar_dense.default:
            return self.number(arguments[0])
        if function is aten.equal.default:
            if arguments[0].device != arguments[1].device:
                raise RuntimeError(f"tensors on {arguments[0].device} and {arguments[1].device} are compared")
            return True
        result = function(*arguments, **named)
        if function is aten._to_copy.default and named.get("device") == GPU != result.device:
            result = torch.empty(
                result.shape, dtype=result.dtype, device=GPU
            )  # PyTorch leaves what holds nothing on the CPU
        self.on_gpu += any(isinstance(leaf, Tensor) and leaf.device == GPU for leaf in tree_leaves(result))
        return result

    def wait(self) -> None:
        """Raises RuntimeError where the host may not wait."""
        place = _place()
        if place in PINNED:
            return
        if place not in WAITS:
            raise RuntimeError(f"the host waits for the device in {place}, which is not named in WAITS")
        self.waits[place] += 1

    def number(self, tensor: Tensor) -> Any:
        kept = self.numbers.get(id(tensor))
        one = 1.0 if tensor.is_floating_point() else True if tensor.dtype is torch.bool else 1
        return one if kept is None else kept[1]


def _check_index(whole: Tensor, places: Any) -> None:
    for place in places:
        if place is not None and place.device != whole.device and place.device == GPU:
            raise RuntimeError(f"indices on {place.device} for a tensor on {whole.device}")


def _chosen(places: Any) -> list[Any]:
    """Indices where masks choose nothing: how much a real one chooses is not known."""
    found: list[Any] = []
    for place in places:
        mask = place is not None and place.dtype is torch.bool
        found += [place.new_empty(0, dtype=torch.int64) for _ in range(place.dim())] if mask else [place]
    return found


def _waits(function: Any, arguments: Any, named: Any) -> bool:
    """Whether the host waits for the GPU to have done all that it was given: it reads a number, or asks for a size that
    depends on values, or for a copy from or to memory that is not pinned, an index on the CPU among them."""
    first: Any = arguments[0] if arguments else None
    if function in READS:
        return isinstance(first, Tensor) and first.device == GPU
    if function in INDEXED:  # masks: how many there are
        indices = [index for index in arguments[1] if index is not None]
        fills = function is not aten.index.Tensor and arguments[2].numel() == 1  # one number, wherever a mask says
        masks = any(index.dtype is torch.bool for index in indices) and not fills
        return first.device == GPU and (masks or any(index.device != GPU for index in indices))
    if function is aten._to_copy.default and named.get("device") is not None:
        places, non_blocking = (first.device, torch.device(named["device"])), named.get("non_blocking")
    elif function is aten.copy_.default:
        places = first.device, arguments[1].device
        non_blocking = named.get("non_blocking") or (len(arguments) > 2 and arguments[2])
    else:
        return False
    return (places[0] == GPU) != (places[1] == GPU) and not non_blocking


def _place() -> str:
    """File and function of the package's code that is at work, the nearest one outside the rehearsal."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        inside = file.is_relative_to(PACKAGE) and not file.is_relative_to(PACKAGE / "rehearsal")
        if inside and not frame.f_code.co_name.startswith("<"):  # a comprehension is part of its function
            return f"{file.relative_to(PACKAGE)}:{frame.f_code.co_name}"
        frame = frame.f_back
    return "code outside the package"


def _is_real(tensor: Tensor) -> bool:
    return type(tensor) is Tensor and tensor.device == CPU


class LoneMeeting:
    """A meeting that the other ranks do not come to: each would have said what this one says."""

    def __init__(self) -> None:
        self.world = dist.get_world_size()

    def gather(self, value: Any) -> list[Any]:
        return [value] * self.world

    def tell(self, value: Any = None) -> Any:
        return value


@contextmanager
def fake_gpu() -> Iterator[DeviceWatch]:
    """Within it the package's code runs on the fake GPU. For a process of its own: nothing is put back."""
    watch = DeviceWatch()
    _say_that_the_gpu_is_one(watch)
    _leave_the_others_out()
    with FakeTensorMode(allow_non_fake_inputs=True), watch:
        yield watch


def _say_that_the_gpu_is_one(watch: DeviceWatch) -> None:
    put(torch.Tensor, "is_cuda", property(lambda tensor: tensor.device == GPU))

    def tolist(numbers: Tensor) -> Any:
        """One copy, however many numbers."""
        if numbers.device == GPU:
            watch.wait()
        return outside(lambda: torch.ones(numbers.shape, dtype=numbers.dtype).tolist())()

    def numpy(numbers: Tensor) -> Any:
        if numbers.device == GPU:
            raise TypeError(f"a tensor on {GPU} has no memory that NumPy can read")
        return outside(lambda: torch.ones(numbers.shape, dtype=numbers.dtype).numpy())()

    put(FakeTensor, "tolist", tolist)
    put(FakeTensor, "numpy", numpy)
    put(staging.HostCopies, "_empty", lambda copies, tensor: torch.empty_like(tensor, device="cpu"))
    put(_fully_shard, "_get_device_from_mesh", lambda mesh: GPU)
    # Values go to a GPU by a copy that the host waits for; between two CPUs PyTorch leaves it out.
    tensor, as_tensor = torch.tensor, torch.as_tensor

    def moved(made: Tensor, device: Any) -> Tensor:
        to = torch.device(device or "cpu")
        return made if to == made.device else torch.empty_like(made, device=to).copy_(made)

    def on_device(values: Any, device: Any = None, **rest: Any) -> Tensor:
        made = moved(tensor(values, **rest), device)
        if isinstance(values, int | float):
            watch.numbers[id(made)] = (made, values)
        return made

    put(torch, "tensor", on_device)
    put(torch, "as_tensor", lambda values, dtype=None, device=None: moved(as_tensor(values, dtype=dtype), device))
    # A model on the meta device, and places in it, are the same without fake tensors.
    for name in ("Llama", "compute_local_shape_and_global_offset"):
        put(parallelize, name, outside(getattr(parallelize, name)))

    def flex_attention(
        q: Tensor, k: Tensor, v: Tensor, block_mask: Any, enable_gqa: bool, kernel_options: Any
    ) -> Tensor:
        if not block_mask.kv_indices.device == block_mask.kv_num_blocks.device == q.device == GPU:
            raise RuntimeError(f"a mask on {block_mask.kv_indices.device} for queries on {q.device}")
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=False, enable_gqa=enable_gqa)

    put(attention, "_compiled_flex_attention", lambda: flex_attention)


def _leave_the_others_out() -> None:
    skip_vote()

    def all_gather_object(gathered: list[Any], mine: Any, group: Any = None) -> None:
        gathered[:] = [mine] * len(gathered)

    put(dist, "all_gather_object", all_gather_object)
    put(dist, "broadcast_object_list", lambda objects, src=None, group=None, **rest: None)
    put(saving, "Meeting", LoneMeeting)
    on_all_ranks = trainer._on_all_ranks

    def as_here(loss: Tensor, norm: Tensor, *flags: bool) -> tuple[float, float, bool, list[bool]]:
        on_all_ranks(loss, norm, *flags)
        return 1.0, 1.0, True, list(flags)

    put(trainer, "_on_all_ranks", as_here)


def without_files() -> None:
    """Checkpoints have no tensors' bytes, and no index."""
    put(saving, "write_tensors", _write_nothing)
    put(saving, "index_of", lambda told: told[0].encode())
    put(CheckpointReader, "read_metadata", lambda reader: None)
    put(loading, "check_shapes", lambda checkpoint, wanted, index: None)
    put(torch.distributed.checkpoint, "load", _load_nothing)


def _write_nothing(tensors: dict[str, Tensor], folder: Path, rank: int) -> list[writing.Written]:
    for name, tensor in tensors.items():
        if getattr(tensor, "_local_tensor", tensor).device != CPU:
            raise RuntimeError(f"{name} is written from {tensor.device}")
    folder.mkdir(exist_ok=True)
    return [writing.Written(name, "", [], [], [], "", 0, 0) for name in tensors]


def _load_nothing(tensors: dict[str, Tensor], **how: Any) -> None:
    for tensor in tensors.values():
        tensor.copy_(torch.zeros_like(tensor, device="cpu"))


def outside(function: Any) -> Any:
    """``function`` without fake tensors."""

    def called(*arguments: Any, **named: Any) -> Any:
        with _disable_current_modes():
            return function(*arguments, **named)

    return called


def put(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)
