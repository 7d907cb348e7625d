"""Benchmarks are read by the first process of a training: the others get them, or what is wrong with them, from it."""

import json
from pathlib import Path
from typing import Any

import pytest
from forked import Forked

SAMPLES = Path("samples/benchmarks").resolve()
RANK = """
import hashlib, json, os, pickle, sys
from pathlib import Path
import torch.distributed as dist
from small import SMALL
from altiplano.errors import InputError
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_recipe
from altiplano.training import trainer
from altiplano.training.job import Job

rank, world, store, tokens, benchmarks = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
os.environ["GLOO_SOCKET_IFNAME"] = "lo"
dist.init_process_group("gloo", rank=rank, world_size=world, store=dist.FileStore(store, world))
recipe = load_recipe("quickstart", [*SMALL, f'evaluation.benchmarks=["{benchmarks}"]', "evaluation.benchmark_items=20"])
job = Job(recipe=recipe, layout=Layout(dp=world), device="cpu", tokens=Path(tokens), folder=Path(store).parent)
opened = []
sys.addaudithook(lambda event, values: opened.append(str(values[0])) if event == "open" else None)
try:
    packed = trainer._benchmarks(job)
    told = [packed.windows.tolist(), [str(place) for place in packed.places], [str(task) for task in packed.tasks]]
    error, size = "", len(pickle.dumps(packed))
except (InputError, OSError) as raised:
    told, error, size = [], f"{type(raised).__name__}: {raised}", 0
files = [path for path in opened if path.startswith((benchmarks, tokens))]
print(json.dumps([hashlib.sha256(json.dumps(told).encode()).hexdigest(), len(files), error, size]))
dist.barrier()
"""


def ranks(world: int, tokens: Path, folder: Path, benchmarks: Path) -> list[Any]:
    """Of each process: a hash of what it is to score, files that it opened, its error, pickled bytes."""
    where = [str(folder / f"store-{world}"), str(tokens), str(benchmarks)]
    started = [
        Forked("-c", [RANK, str(rank), str(world), *where], folder / f"output-{world}-{rank}") for rank in range(world)
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert not any(process.returncode for process in started), said
    return [json.loads(one.splitlines()[-1]) for one in said]


def test_one_process_reads_and_all_score_the_same(tokenized: Path, tmp_path: Path) -> None:
    ((alone, files, _, size),) = ranks(1, tokenized, tmp_path, SAMPLES)
    both = ranks(2, tokenized, tmp_path, SAMPLES)
    assert [one[0] for one in both] == [alone, alone]
    assert files > 2 and [one[1] for one in both] == [files, 0]
    assert size < 2**20


@pytest.mark.parametrize("what", ["is not there", "cannot be read"])
def test_what_is_wrong_all_say(what: str, tokenized: Path, tmp_path: Path) -> None:
    task = tmp_path / "task.toml"
    if what == "cannot be read":
        task.write_text('name = "a"\ndata = "data.jsonl"\nprompt = "{{q}}"\nanswer = "a"\n')
    first, second = (one[2] for one in ranks(2, tokenized, tmp_path, task))
    assert first == second and "\n" not in first
    assert ("task.toml is not there" if what == "is not there" else "data.jsonl") in first
