"""torch.compile, block by block, and a check that a compiled model has the gradients of the uncompiled one.

Measured with PyTorch 2.13: a compiled block loses the gradient of an input that a tensor-parallel collective has just
made, without an error; and blocks compiled under zero-bubble V have wrong gradients (``Layout`` refuses that). So the
first step of every session is computed both ways.
"""

from collections.abc import Callable, Iterable

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


def check_gradients(step: Callable[[], object], parts: Iterable[nn.Module], compute: torch.dtype) -> None:
    """Run ``step``, which accumulates gradients, uncompiled and compiled, on all ranks together; forget the gradients.

    Raises TrainingError, naming the parameter, when the two differ by more than rounding in ``compute`` on any rank.
    """
    parameters = {name: parameter for part in parts for name, parameter in part.named_parameters()}
    with torch.compiler.set_stance("force_eager"):
        expected = _gradients(step, parameters)
    compiled = _gradients(step, parameters)
    errors = {name: _relative(compiled[name], gradient) for name, gradient in expected.items()}
    worst = max(errors, key=lambda name: errors[name])
    everywhere = torch.tensor(errors[worst], dtype=torch.float64, device=next(iter(parameters.values())).device)
    if dist.is_initialized():
        dist.all_reduce(everywhere, dist.ReduceOp.MAX)
    if not float(everywhere) <= TOLERANCE[compute]:
        raise TrainingError(
            f"torch.compile changes the gradient: by {float(everywhere):.1e} (relative), {TOLERANCE[compute]:.0e} is "
            f"rounding; here {worst} differs most, by {errors[worst]:.1e}; set compile = false in the layout"
        )


def _gradients(step: Callable[[], object], parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    step()
    gradients = {}
    for name, parameter in parameters.items():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        gradients[name] = (gradient.to_local() if isinstance(gradient, DTensor) else gradient).detach().clone()
        parameter.grad = None
    return gradients


def _relative(value: Tensor, reference: Tensor) -> float:
    """0 where both are zero, infinite where only the reference is or where there are other things than numbers."""
    difference, size = float((value - reference).double().norm()), float(reference.double().norm())
    if difference == 0:
        return 0.0
    return difference / size if size > 0 and difference < float("inf") else float("inf")
