"""``altiplano doctor --measure``: what it writes, the planner reads."""

from pathlib import Path

import pytest
import torch

from altiplano.cli import run
from altiplano.planning.plan import make_plan
from altiplano.planning.stacks import load_chip
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.training.accounting import hardware


def test_a_measured_machine_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hardware, "SECONDS", 0.02)
    file = tmp_path / "this-machine.toml"
    assert run(["doctor", "--measure", str(file)]) == 0
    assert capsys.readouterr().out.strip() == str(file)
    chip = load_chip(str(file))
    assert chip.name == "this-machine"
    assert chip.peak_bf16 > 1e9 and chip.memory_bandwidth > 1e8 and chip.disk_bandwidth > 1e6
    cluster = load_cluster("laptop").model_copy(update={"chip": str(file)})
    planned = make_plan(load_recipe("quickstart"), cluster, Layout())
    assert 0.001 < planned.seconds < 100


def test_doctor_says_what_this_machine_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) >= {"device", "memory", "software", "peak"}
    if not torch.cuda.is_available():
        assert "GFLOP/s in bfloat16" in lines["peak"] and "bfloat16 products by" in lines["products"]
