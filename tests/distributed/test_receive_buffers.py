"""A pipeline holds receive buffers for micro-batches in flight, and none between steps."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize
from altiplano.parallel.pipeline import META, LazyBufferStage, ParallelModel
from altiplano.recipe.layout import parse_layout
from altiplano.training.loss import token_losses
from distributed.contract import in_ranks
from distributed.twenty_steps import batches, recipe_of


def buffers(model: ParallelModel) -> tuple[int, int]:
    """With memory, forward and backward, of all stages here."""
    schedules: list[Any] = list(model.schedules.values())
    stages = [s for one in schedules for s in (one._stages if hasattr(one, "_stages") else [one._stage])]

    def live(infos: dict[int, Any]) -> int:
        return sum(i.buffer is not None and i.buffer.device != META for each in infos.values() for i in each)

    return sum(live(s.args_recv_info) for s in stages), sum(live(s.grad_recv_info) for s in stages)


# With eight micro-batches: 1F1B has as many in flight as stages are to come; gpipe all.
MOST = {"pp2.mb1": [0, 1], "pp4.mb1": [0, 3, 2, 1], "pp2.gpipe.mb1": [0, 8]}


@pytest.mark.parametrize("layout", MOST)
def test_buffers_come_and_go_with_micro_batches(layout: str, tmp_path: Path) -> None:
    spread = parse_layout(layout)

    def work() -> None:
        mesh = start_mesh(spread, "cpu")
        model = parallelize(recipe_of("regular", "float64"), spread, mesh, token_losses(mesh.group("tp")))
        allocate, seen = LazyBufferStage._allocate, [(0, 0)]

        def counting(stage: LazyBufferStage, infos: Any) -> None:
            allocate(stage, infos)
            seen.append(buffers(model))

        LazyBufferStage._allocate = counting  # type: ignore[method-assign]
        for batch in batches("regular", 2):
            model.step(batch, 8, int(torch.tensor(batch.valid)))
        found = {
            "forward": max(forward for forward, _ in seen),
            "backward": max(backward for _, backward in seen),
            "afterwards": buffers(model),
        }
        (tmp_path / os.environ["RANK"]).write_text(json.dumps(found))

    in_ranks(spread.world_size, work)
    found = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(spread.world_size)]
    assert [one["forward"] for one in found] == MOST[layout]
    assert all(one["backward"] <= 1 for one in found)
    assert all(one["afterwards"] == [0, 0] for one in found)
