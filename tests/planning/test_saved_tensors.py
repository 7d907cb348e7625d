"""Activations that the planner counts against those that autograd keeps of the real model."""

import pytest
import torch

from altiplano.model.llama import Llama
from altiplano.planning.case import Case, Parallelism
from altiplano.planning.memory import kept_per_token
from altiplano.planning.model_size import shape_of
from altiplano.planning.stacks import load_stack
from altiplano.recipe.load import load_recipe

TOKENS = 1280  # above 1,024, so that tiles do not keep their softmax


def saved_bytes(recipe_layers: int, shape: list[str]) -> int:
    """Of all tensors, but parameters, that a forward pass keeps for the backward pass; shared memory counts once."""
    model = Llama(load_recipe("quickstart", [*shape, f"model.num_hidden_layers={recipe_layers}"]).model).to(
        torch.bfloat16
    )
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(torch.randint(0, 512, (1, TOKENS)), None)
    assert output.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("num_key_value_heads", [2, 4])
def test_a_block_keeps_what_is_counted(num_key_value_heads: int) -> None:
    shape = [
        "model.hidden_size=256",
        "model.num_attention_heads=4",
        f"model.num_key_value_heads={num_key_value_heads}",
        "model.intermediate_size=704",
        "model.vocab_size=1024",
    ]
    measured = (saved_bytes(3, shape) - saved_bytes(2, shape)) / TOKENS
    model = load_recipe("quickstart", shape).model
    planned = kept_per_token(Case(shape_of(model), TOKENS, 1, Parallelism(sharding="zero3")), load_stack("altiplano"))
    assert sum(planned.values()) == pytest.approx(measured, rel=0.01)
