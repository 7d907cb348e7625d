"""What all ranks learn of a step at once: its numbers, and what one of them asks of all."""

import json
from pathlib import Path

import forked

TWO_RANKS = """
import json, math, sys
import torch
import torch.distributed as dist
from altiplano.parallel.mesh import start_processes
from altiplano.parallel.processes import fork_ranks
from altiplano.training.trainer import _on_all_ranks

def rank():
    start_processes("cpu")
    here, calls, reduce = dist.get_rank(), [], dist.all_reduce
    dist.all_reduce = lambda *given: calls.append(1) or reduce(*given)
    loss = torch.tensor(1.0 + here * 2**-40, dtype=torch.float64)
    well = _on_all_ranks(loss, torch.tensor(3.0 - here), here == 1, False)
    bad = _on_all_ranks(torch.tensor([1.0, math.nan][here]), torch.tensor(2.0))
    sys.stdout.write(json.dumps([here, len(calls), well, str(bad)]) + "\\n")
    return 0

sys.exit(fork_ranks(2, rank))
"""


def test_one_collective_tells_every_rank_the_same(tmp_path: Path) -> None:
    output = forked.run("-c", TWO_RANKS, output=tmp_path / "output")
    said = sorted(json.loads(line) for line in output.splitlines() if line.startswith(("[0,", "[1,")))
    # Decisions are made of them, so they are equal in every bit, whatever each rank has added up.
    numbers = [1.0 + 2**-40, 3.0, True, [True, False]]
    assert said == [[0, 2, numbers, "(1.0, 2.0, False, [])"], [1, 2, numbers, "(nan, 2.0, False, [])"]]
