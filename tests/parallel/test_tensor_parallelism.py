"""What a tensor-parallel rank does beside products: it must not copy what ranks send and receive."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from small import SMALL
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.tokens.loader import make_batch
from altiplano.training.loss import token_losses


@pytest.fixture(autouse=True)
def two_ranks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The first of two that only pretend to speak."""
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield
    dist.destroy_process_group()


class Copies(TorchDispatchMode):
    """Sizes of what was put together of pieces."""

    def __init__(self, least: int):
        super().__init__()
        self.least, self.found = least, list[list[int]]()

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operator(*args, **(kwargs or {}))
        if operator is torch.ops.aten.cat.default and result.numel() >= self.least:
            self.found.append([*result.shape])
        return result


def test_activations_are_gathered_and_reduced_as_they_lie() -> None:
    recipe = load_recipe("quickstart", [*SMALL, "model.num_hidden_layers=2", "batch.tokens=256"])
    layout = parse_layout("tp2")
    mesh = start_mesh(layout, "cpu")
    model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
    batch = make_batch(np.random.default_rng(0).integers(0, 700, (4, 65)), -1)
    with Copies(batch.tokens.numel() * recipe.model.hidden_size // 2) as copies:
        model.step(batch, 4, batch.valid)
    assert copies.found == []
