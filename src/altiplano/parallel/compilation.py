"""torch.compile, block by block, and a check that a compiled model has the gradients of the uncompiled one.

Measured with PyTorch 2.13: a compiled block loses the gradient of an input that a tensor-parallel collective has just
made, without an error; and blocks compiled under zero-bubble V have wrong gradients (``Layout`` refuses that). So the
first step of every session is computed both ways.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from altiplano.errors import TrainingError
from altiplano.model.llama import Llama
from altiplano.parallel.float8 import in_bfloat16, in_float8

# Relative differences that rounding explains: compiled kernels keep float32 where eager ones round to bfloat16.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 1e-1}
FLOAT8_ROOM = 1.25
"""Compiled blocks round other numbers to float8 than uncompiled ones; both are about as far from bfloat16. Measured on
an H200, four layers of Llama 3.1 8B's width: 0.561 and 0.561 in the parameter that differed most, 1 % apart at most."""


def compile_blocks(model: Llama, backend: str | Callable[..., object] = "inductor") -> None:
    """Compile every block in place (names of parameters stay)."""
    if model.embed_tokens is not None:
        # A differentiable operation between the collective of the split embedding and the first compiled block.
        model.embed_tokens.register_forward_hook(lambda module, arguments, output: output * 1.0)
    for block in model.layers.values():
        block.compile(backend=backend)


def choose_kernels_by_rule() -> None:
    """Let PyTorch's compiler choose between kernels that add up in another order by rule and not by timing them, which
    ends differently from process to process: a run that was killed and started again would not end with the same bits.
    ``TORCHINDUCTOR_DETERMINISTIC=0`` leaves it the timing."""
    import torch._inductor.config as inductor

    if os.environ.get("TORCHINDUCTOR_DETERMINISTIC") != "0":
        inductor.deterministic = True


def overlap_tensor_communication() -> None:
    """Let compiled blocks send tensor-parallel parts while they multiply others, through symmetric memory (torchtitan's
    asynchronous tensor parallelism). Needs GPUs that reach each other's memory."""
    import torch._inductor.config as inductor

    inductor._micro_pipeline_tp = True


def check_gradients(step: Callable[[], object], parts: Iterable[nn.Module], compute: torch.dtype) -> None:
    """Run ``step``, which accumulates gradients, uncompiled and compiled, on all ranks together; forget the gradients.

    Raises TrainingError, naming the parameter, when the two differ by more than rounding on any rank: rounding in
    ``compute``, and where products are in float8, which rounds far more, what float8 itself changes in the gradient of
    that parameter. In deep models that may be all of it: there a gradient that is lost is not told from a rounded one.
    """
    parts = list(parts)
    with _uncompiled(parts):
        if any(in_float8(part) for part in parts):
            expected, rounded = _without_float8(step, parts)
        else:
            expected = _gradient(step, parts)
            rounded = dict.fromkeys(expected, 0.0)
    errors = {name: _relative(gradient, expected[name]) for name, gradient in _gradient(step, parts).items()}
    beyond = {name: error - FLOAT8_ROOM * rounded[name] for name, error in errors.items()}
    worst = max(beyond, key=lambda name: beyond[name])
    everywhere = torch.tensor(beyond[worst], dtype=torch.float64, device=next(parts[0].parameters()).device)
    if dist.is_initialized():
        dist.all_reduce(everywhere, dist.ReduceOp.MAX)
    if not float(everywhere) <= TOLERANCE[compute]:
        than_float8 = " beyond what float8 changes it by" if any(rounded.values()) else ""
        raise TrainingError(
            f"torch.compile changes the gradient: by {float(everywhere):.1e} (relative){than_float8}, "
            f"{TOLERANCE[compute]:.0e} is rounding; here {worst} differs most, by {errors[worst]:.1e}; "
            "set compile = false in the layout"
        )


def _gradient(step: Callable[[], object], parts: Iterable[nn.Module]) -> dict[str, Tensor]:
    step()
    return {name: _take_gradient(parameter) for part in parts for name, parameter in part.named_parameters()}


def _without_float8(
    step: Callable[[], object], parts: Iterable[nn.Module]
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The gradient with products in bfloat16, and how much float8 changes each parameter's; no room where what float8
    gives is no number."""
    float8 = _gradient(step, parts)
    with in_bfloat16(parts):
        exact = _gradient(step, parts)
    changes = {name: _relative(float8[name], gradient) for name, gradient in exact.items()}
    return exact, {name: change if math.isfinite(change) else 0.0 for name, change in changes.items()}


@contextmanager
def _uncompiled(parts: Iterable[nn.Module]) -> Iterator[None]:
    """Blocks run as they were written. What is compiled inside them stays so, unlike under ``force_eager``:
    FlexAttention by itself would write every score, 8.6 GB a copy for one row of 8,192 tokens at 32 heads."""
    blocks = [module for part in parts for module in part.modules() if module._compiled_call_impl is not None]
    compiled = [block._compiled_call_impl for block in blocks]
    try:
        for block in blocks:
            block._compiled_call_impl = None
        yield
    finally:
        for block, call in zip(blocks, compiled, strict=True):
            block._compiled_call_impl = call


def _take_gradient(parameter: nn.Parameter) -> Tensor:
    """This rank's part of the gradient, which the parameter gives away; zeros where it has none."""
    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    parameter.grad = None
    return (gradient.to_local() if isinstance(gradient, DTensor) else gradient).detach()


def _relative(value: Tensor, reference: Tensor) -> float:
    """0 where both are zero, infinite where only the reference is or where there are other things than numbers."""
    difference, size = float((value - reference).double().norm()), float(reference.double().norm())
    if difference == 0:
        return 0.0
    return difference / size if size > 0 and difference < float("inf") else float("inf")
