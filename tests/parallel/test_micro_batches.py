"""What several micro-batches of a step cost on one device, beside their own work."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from small import SMALL
from torch.utils._python_dispatch import TorchDispatchMode

from altiplano.parallel.mesh import Mesh, start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.tokens.loader import make_batch
from altiplano.training.loss import token_losses
from altiplano.training.trainer import _on_all_ranks


class Copies(TorchDispatchMode):
    """Counts copies to bfloat16, by the memory they are made from."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[int] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        named = named or {}
        if function is torch.ops.aten._to_copy.default and named.get("dtype") is torch.bfloat16:
            self.of[arguments[0].data_ptr()] += 1
        return function(*arguments, **named)


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    yield start_mesh(parse_layout("dp1"), "cpu")
    dist.destroy_process_group()


def test_weights_are_rounded_once_a_step_however_many_micro_batches(mesh: Mesh) -> None:
    recipe, layout = load_recipe("quickstart", [*SMALL, "precision.compute=bfloat16"]), parse_layout("dp1.mb4")
    model = parallelize(recipe, layout, mesh, token_losses(None))
    weights = parameters_by_name(model.parts)
    optimizer = torch.optim.SGD(weights.values(), lr=0.1)
    losses = []
    for _ in range(3):
        batch = make_batch(torch.randint(1, 700, (16, 65), generator=torch.Generator().manual_seed(0)).numpy(), 0)
        with Copies() as copies:
            losses.append(float(model.step(batch, 16, batch.valid)))
        found = {name: copies.of[weight.to_local().data_ptr()] for name, weight in weights.items()}
        assert set(found.values()) == {1}, found
        optimizer.step()
        optimizer.zero_grad()
    assert losses[2] < losses[1] < losses[0], "the next step must see the weights that the update left"


@pytest.mark.parametrize(("loss", "norm"), [(1.5, float("inf")), (float("nan"), 2.0), (1.5, 2.0)])
def test_one_rank_reads_its_loss_and_norm_at_once(loss: float, norm: float, mesh: Mesh) -> None:
    class NobodyAsked(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
            assert not str(function).startswith("c10d"), "there is no other rank to ask"
            return function(*arguments, **(named or {}))

    with NobodyAsked():
        found = _on_all_ranks(torch.tensor(loss, dtype=torch.float64), torch.tensor(norm), True, False)
        assert found[3] == [True, False]
        assert mesh.total(7, "dp", "cp") == 7
    assert found[2] == (math.isfinite(loss) and math.isfinite(norm))
    assert str(found[:2]) == str((loss, norm))
