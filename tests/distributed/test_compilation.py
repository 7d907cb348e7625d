"""The self-check of compiled blocks, forced on a CPU, where training refuses to compile."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from altiplano.errors import TrainingError
from altiplano.model.initial_weights import initial_value
from altiplano.model.llama import Llama
from altiplano.parallel import compilation, float8
from altiplano.parallel.compilation import check_gradients, compile_blocks
from altiplano.recipe.schema import Recipe


@pytest.fixture
def model(small_recipe: Recipe) -> Llama:
    return initial(small_recipe, layers=1)


def initial(recipe: Recipe, layers: int) -> Llama:
    torch._dynamo.reset()
    shape = recipe.model.model_copy(update={"num_hidden_layers": layers})
    model = Llama(shape)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(initial_value(name, parameter.shape, shape, seed=0))
    return model


def gradient_of(model: Llama) -> Callable[[], None]:
    tokens = torch.randint(0, 700, (2, 16), generator=torch.Generator().manual_seed(0))

    def step() -> None:
        model(tokens).logsumexp(-1).sum().backward()

    return step


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile for a CPU needs g++")
def test_a_compiled_block_has_the_gradient_of_the_uncompiled(model: Llama) -> None:
    compile_blocks(model)
    check_gradients(gradient_of(model), [model], torch.float32)
    assert all(parameter.grad is None for parameter in model.parameters()), "the check must leave no gradient"


def test_a_difference_is_an_error_that_names_the_parameter(model: Llama) -> None:
    def wrong(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        return lambda *arguments: tuple(output * 1.01 for output in graph(*arguments))

    compile_blocks(model, backend=wrong)
    with pytest.raises(TrainingError, match=r"torch.compile changes the gradient.*differs most.*compile = false"):
        check_gradients(gradient_of(model), [model], torch.float32)


@pytest.mark.parametrize("lost", [False, True])
def test_float8_is_given_the_room_that_it_takes_itself(
    small_recipe: Recipe, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks whose outputs are off by a bit of bfloat16 round other numbers to float8, as compiled ones do: more than
    bfloat16 alone would be allowed here. A gradient that is lost is an error all the same."""
    pytest.importorskip("torchao")
    monkeypatch.setitem(compilation.TOLERANCE, torch.bfloat16, 0.03)
    model = initial(small_recipe, layers=3).bfloat16()
    float8.use_float8(model, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        def run(*arguments: Any) -> tuple[Any, ...]:
            (output,) = graph(*arguments)
            output = output * (1 + (torch.rand(output.shape, generator=generator) - 0.5) * 2**-7).bfloat16()
            return (output.detach() if lost else output,)

        return run

    compile_blocks(model, backend=backend)
    with nullcontext() if not lost else pytest.raises(TrainingError, match="beyond what float8 changes it by"):
        check_gradients(gradient_of(model), [model], torch.bfloat16)
    monkeypatch.setattr(compilation, "FLOAT8_ROOM", 0.0)
    with pytest.raises(TrainingError):
        check_gradients(gradient_of(model), [model], torch.bfloat16)


def test_a_gradient_that_is_lost_or_not_a_number_is_an_error(model: Llama) -> None:
    for factor in (0.0, float("nan")):
        torch._dynamo.reset()

        def broken(graph: torch.fx.GraphModule, inputs: Any, factor: float = factor) -> Callable[..., Any]:
            return lambda *arguments: tuple(output.detach() * factor + output * factor for output in graph(*arguments))

        compile_blocks(model, backend=broken)
        with pytest.raises(TrainingError):
            check_gradients(gradient_of(model), [model], torch.float32)
