"""Everything that meets in an operation is on the same device: a rank's whole life on a GPU that is not there.

``fake_gpu.py`` says what of it is not the real thing.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from small import SMALL

from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.training.job import Job

EVERYTHING = ["evaluation.interval_steps=2", "recovery.check_weights_every=1", "recovery.check_speed_every=1"]


def live(folder: Path, tokens: Path, layout: str, rank: int, precision: str, *mistake: str) -> tuple[int, str]:
    """First evaluation, steps, evaluation, save; then the same again from what was saved."""
    recipe = load_recipe("quickstart", [*SMALL, *EVERYTHING, f"precision.compute={precision}"])
    job = Job(recipe=recipe, layout=parse_layout(layout), device="cuda", tokens=tokens, folder=folder)
    (folder / "job.json").write_text(job.model_dump_json())
    command = [sys.executable, str(Path(__file__).with_name("fake_gpu.py")), str(folder / "job.json"), str(rank)]
    ended = subprocess.run([*command, *mistake], capture_output=True, text=True, timeout=250, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("layout", "rank", "precision"),
    [
        ("dp1", 0, "float32"),
        ("dp2", 0, "bfloat16"),
        ("dp2.tp2.pp2.recompute-selective", 1, "bfloat16"),
        pytest.param("dp2.tp2.pp2", 7, "bfloat16", marks=pytest.mark.slow),
        ("cp2.tp2", 1, "bfloat16"),
        ("pp2.zbv", 1, "float32"),
    ],
)
def test_a_rank_lives_on_one_device(layout: str, rank: int, precision: str, tokenized: Path, tmp_path: Path) -> None:
    code, said = live(tmp_path, tokenized, layout, rank, precision)
    assert code == 0, said
    assert "lived" in said.splitlines()


def test_a_batch_that_stays_on_the_cpu_is_found(tokenized: Path, tmp_path: Path) -> None:
    code, said = live(tmp_path, tokenized, "dp2", 0, "bfloat16", "mix")
    assert code != 0
    assert "indices on cpu:1 for a tensor on cpu" in said
