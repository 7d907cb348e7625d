"""torch.compile, block by block, and a check that a compiled model has the gradients of the uncompiled one.

Measured with PyTorch 2.13: a compiled block loses the gradient of an input that a tensor-parallel collective has just
made, without an error; and blocks compiled under zero-bubble V have wrong gradients (``Layout`` refuses that). So the
first step of every session is computed both ways.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from altiplano.errors import TrainingError
from altiplano.model.llama import Llama

# Relative differences that rounding explains: compiled kernels keep float32 where eager ones round to bfloat16.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 1e-1}


def compile_blocks(model: Llama, backend: str | Callable[..., object] = "inductor") -> None:
    """Compile every block in place (names of parameters stay)."""
    if model.embed_tokens is not None:
        # A differentiable operation between the collective of the split embedding and the first compiled block.
        model.embed_tokens.register_forward_hook(lambda module, arguments, output: output * 1.0)
    for block in model.layers.values():
        block.compile(backend=backend)


def overlap_tensor_communication() -> None:
    """Let compiled blocks send tensor-parallel parts while they multiply others, through symmetric memory (torchtitan's
    asynchronous tensor parallelism). Needs GPUs that reach each other's memory."""
    import torch._inductor.config as inductor

    inductor._micro_pipeline_tp = True


def check_gradients(step: Callable[[], object], parts: Iterable[nn.Module], compute: torch.dtype) -> None:
    """Run ``step``, which accumulates gradients, uncompiled and compiled, on all ranks together; forget the gradients.

    Raises TrainingError, naming the parameter, when the two differ by more than rounding in ``compute`` on any rank.
    """
    parts = list(parts)
    parameters = {name: parameter for part in parts for name, parameter in part.named_parameters()}
    with _uncompiled(parts):
        step()
    expected = {name: _take_gradient(parameter) for name, parameter in parameters.items()}
    step()
    errors = {name: _relative(_take_gradient(parameters[name]), gradient) for name, gradient in expected.items()}
    worst = max(errors, key=lambda name: errors[name])
    everywhere = torch.tensor(errors[worst], dtype=torch.float64, device=next(iter(parameters.values())).device)
    if dist.is_initialized():
        dist.all_reduce(everywhere, dist.ReduceOp.MAX)
    if not float(everywhere) <= TOLERANCE[compute]:
        raise TrainingError(
            f"torch.compile changes the gradient: by {float(everywhere):.1e} (relative), {TOLERANCE[compute]:.0e} is "
            f"rounding; here {worst} differs most, by {errors[worst]:.1e}; set compile = false in the layout"
        )


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
