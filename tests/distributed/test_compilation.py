"""The self-check of compiled blocks, forced on a CPU, where training refuses to compile."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch

from altiplano.errors import TrainingError
from altiplano.model.initial_weights import initial_value
from altiplano.model.llama import Llama
from altiplano.parallel.compilation import check_gradients, compile_blocks
from altiplano.recipe.schema import Recipe


@pytest.fixture
def model(small_recipe: Recipe) -> Llama:
    torch._dynamo.reset()
    shape = small_recipe.model.model_copy(update={"num_hidden_layers": 1})
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


def test_a_gradient_that_is_lost_or_not_a_number_is_an_error(model: Llama) -> None:
    for factor in (0.0, float("nan")):
        torch._dynamo.reset()

        def broken(graph: torch.fx.GraphModule, inputs: Any, factor: float = factor) -> Callable[..., Any]:
            return lambda *arguments: tuple(output.detach() * factor + output * factor for output in graph(*arguments))

        compile_blocks(model, backend=broken)
        with pytest.raises(TrainingError):
            check_gradients(gradient_of(model), [model], torch.float32)
