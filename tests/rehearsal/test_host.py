"""The start of a large job, measured on one rank: what it opens, reads and takes, within what a team can wait for."""

import json
from pathlib import Path

import numpy as np
import pytest

from altiplano.cli import run
from altiplano.recipe.load import load_recipe
from altiplano.rehearsal.host import MEMORY_LIMIT, SECONDS_LIMITS, HostRehearsal, Phase, as_text
from altiplano.rehearsal.synthetic import write_tokens
from altiplano.tokens.loader import read_batch
from altiplano.tokens.shards import read_shards, verify_shards
from altiplano.tokens.training_data import TrainingData


def test_made_up_shards_are_read_as_real_ones(tmp_path: Path) -> None:
    recipe = load_recipe(
        "llama-3.1-405b", ["batch.total_tokens=64G", "optimizer.warmup_steps=10", "evaluation.max_tokens=5000"]
    )
    count = write_tokens(tmp_path, recipe)
    assert verify_shards(tmp_path, limit=0).files == 3 * count
    data = TrainingData(read_shards(tmp_path, "train"), recipe.batch.sequence_length, bos=1, seed=0)
    assert data.tokens == 64 * 10**9
    assert read_batch(data, range(3)).tokens.shape == (3, 8192)
    heldout = read_shards(tmp_path, "heldout")
    assert heldout[3].document(4).shape == (1000,) and np.all(heldout[3].document_bytes[:5] == 4000)
    assert sum(file.stat().st_blocks for file in tmp_path.rglob("*.bin")) < 1000  # holes


def test_what_takes_too_long_is_marked() -> None:
    well = Phase("ready for the first step", 59.0, 10, 10, MEMORY_LIMIT)
    assert HostRehearsal(1, [well], 6, 100, {"here": 1}).agrees
    for bad in (Phase(well.name, 61.0, 1, 1, 1), Phase("resume", 1.0, 1, 1, MEMORY_LIMIT + 1)):
        done = HostRehearsal(1, [well, bad], 6, 100, {"here": 1})
        assert not done.agrees
        assert [line for line in as_text(done).splitlines() if line.startswith("✗")]


SMALL = ["--set", "batch.tokens=64Ki", "--set", "model.num_hidden_layers=4", "--set", "batch.total_tokens=10G"]


@pytest.mark.slow
def test_a_start_is_rehearsed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rehearse", "llama-3.1-8b", *SMALL, "--layout", "dp2.tp2.pp2.mb1", "--start", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [phase["name"] for phase in found["phases"]][: len(SECONDS_LIMITS)] == [*SECONDS_LIMITS]
    assert sum(found["waits_of_a_step"].values()) == 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_source_recipe_starts_on_2048_ranks(capsys: pytest.CaptureFixture[str]) -> None:
    """15 trillion tokens, 15 billion documents: 60 s of Python and 2 GiB a rank, 5 s for a checkpoint; and
    counts, which do not depend on the machine."""
    assert run(["rehearse", "llama-3.1-405b", "--cluster", "h100-2048", "--start", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    phases = {phase["name"]: phase for phase in found["phases"]}
    assert found["shards"] > 14_000
    # Held-out shards, and a token file and its header for each row of the batches that are read ahead.
    assert phases["ready for the first step"]["files"] < 5000
    assert phases["ready for the first step"]["read_bytes"] < 200e6
    assert phases["first checkpoint"]["files"] < 20 and phases["each further checkpoint"]["files"] < 20
    assert max(phase["memory_bytes"] for phase in phases.values()) < 2 * 2**30
