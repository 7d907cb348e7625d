"""What a block forgets and computes again, counted by the matrix products and attentions that run."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from altiplano.model.llama import Llama
from altiplano.parallel.recomputation import recompute_blocks
from altiplano.recipe.layout import Recompute
from altiplano.recipe.schema import Recipe


class Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.products = self.attentions = self.activations = 0

    def __torch_dispatch__(self, operator: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = str(operator)
        self.products += name in ("aten.mm.default", "aten.bmm.default", "aten.addmm.default")
        self.attentions += "scaled_dot_product" in name and "backward" not in name
        self.activations += name == "aten.silu.default"
        return operator(*arguments, **(options or {}))


def count(small_recipe: Recipe, recompute: Recompute) -> Counter:
    shape = small_recipe.model
    model = Llama(shape)
    recompute_blocks(model, recompute)
    with Counter() as counter:
        model(torch.zeros(2, 16, dtype=torch.int64)).sum().backward()
    return counter


def test_selective_repeats_what_is_cheap_and_full_repeats_all(small_recipe: Recipe) -> None:
    layers = small_recipe.model.num_hidden_layers
    none, selective, full = (count(small_recipe, recompute) for recompute in ("none", "selective", "full"))
    assert selective.products == none.products
    # The last product of a block is not needed by its own backward pass, so that PyTorch stops before it.
    assert full.products == none.products + 6 * layers
    assert (none.attentions, selective.attentions, full.attentions) == (layers, layers, 2 * layers)
    assert (none.activations, selective.activations, full.activations) == (layers, 2 * layers, 2 * layers)


@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_less_is_kept(small_recipe: Recipe, recompute: Recompute) -> None:
    def saved_bytes(recompute: Recompute) -> int:
        shape, total = small_recipe.model, 0
        model = Llama(shape)
        recompute_blocks(model, recompute)
        weights = {parameter.data_ptr() for parameter in model.parameters()}
        seen: set[int] = set()

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            if tensor.data_ptr() not in weights | seen:
                seen.add(tensor.data_ptr())
                total += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(torch.zeros(2, 64, dtype=torch.int64))
        return total

    assert saved_bytes(recompute) < 0.7 * saved_bytes("none")
