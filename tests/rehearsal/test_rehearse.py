"""A rehearsal of sixteen ranks: everything as planned, and not as planned when the plan or the model is altered."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
from processes import alive, children

from altiplano.cli import run
from altiplano.planning import counts
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe, shipped
from altiplano.recipe.schema import Recipe
from altiplano.rehearsal.compare import Comparison, kinds_of_rank

# Fake tensors have no size: a large model takes no longer than a small one.
JOB = ["llama-3.1-8b", "--set", "batch.tokens=64Ki", "--set", "model.num_hidden_layers=6"]


def test_sixteen_ranks_are_as_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rehearse", *JOB, "--layout", "dp2.tp2.pp4.mb1", "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["agrees"] is True
    assert [one["alike"] for one in found["ranks"]] == [[0], [1, 2], [3]]
    recipe, layout = load_recipe("llama-3.1-8b", [JOB[2], JOB[4]]), parse_layout("dp2.tp2.pp4.mb1")
    for one in found["ranks"]:
        assert one["parameters"]["measured"] == counts.parameters_on_rank(recipe, layout, one["rank"])
        assert one["state_bytes"]["measured"] == 16 * one["parameters"]["measured"]
        # Measured is far closer than the tolerance: rotary tables and token numbers are all that is left out.
        assert one["activation_peak_bytes"]["measured"] == pytest.approx(
            one["activation_peak_bytes"]["planned"], rel=0.01
        )
        assert one["activation_peak_bytes"]["measured"] > 1e8
        assert {sent["group"] for sent in one["collectives"]} == {"shards", "tp", "pp"}
        assert one["process_bytes"] < 2**30
    assert "pipeline rank 3: as planned" in printed.err


@pytest.mark.parametrize(
    ("layout", "layers"),
    [
        ("dp2.cp2.tp2.mb2.recompute-selective", 4),
        ("tp2.pp2.hc8.mb1", 3),
        *(
            pytest.param(one, 10, marks=pytest.mark.slow)
            for one in ("dp2.rep2.cp2.tp2.mb1.recompute-full", "dp2.pp2.v4.mb1", "dp2.pp2.zbv.mb1")
        ),
    ],
)
def test_other_layouts_are_as_planned(layout: str, layers: int) -> None:
    assert run(["rehearse", *JOB, "--set", f"model.num_hidden_layers={layers}", "--layout", layout]) == 0


@pytest.mark.parametrize("precision", ["bfloat16", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("size", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_tensor_parallelism_without_data_parallelism_is_as_planned(precision: str, size: int) -> None:
    job = [*JOB, "--set", "model.num_hidden_layers=2", "--set", f"precision.compute={precision}"]
    assert run(["rehearse", *job, "--layout", f"tp2.mb{size}"]) == 0


def test_a_wrong_plan_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = counts.collectives
    monkeypatch.setattr(
        counts,
        "collectives",
        lambda *arguments: [
            replace(one, count=one.count + 1) if one.kind == "reduce_scatter" else one for one in real(*arguments)
        ],
    )
    assert run(["rehearse", *JOB, "--set", "model.num_hidden_layers=2", "--layout", "dp2.mb1"]) == 1
    printed = capsys.readouterr().out
    wrong = [line for line in printed.splitlines() if line.startswith("✗")]
    assert wrong
    assert all("reduce_scatter" in line for line in wrong)


def test_training_code_that_cannot_take_a_step_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Past the check of layouts, as a mistake in it would be: 8 heads of keys over 3 ranks.
    monkeypatch.setattr("altiplano.cli.rehearse.check_layout", lambda *arguments: None)
    monkeypatch.setattr("altiplano.planning.plan.check_runnable", lambda *arguments: None)
    assert run(["rehearse", *JOB, "--set", "model.num_hidden_layers=2", "--layout", "tp3.mb1"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "cannot take a step" in error.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layout", "tp3"], "tp = 3 does not divide model.num_key_value_heads = 8"),
        (
            ["--cluster", "h100-2048", "--layout", "dp2.tp2.pp4"],
            "layout dp2.tp2.pp4 is of 16 devices, h100-2048 has 2048",
        ),
        (["--layout", "pp40"], "leave one without layers"),
    ],
)
def test_an_impossible_layout_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rehearse", "llama-3.1-8b", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_every_kind_of_rank_is_rehearsed_once() -> None:
    recipe = load_recipe("llama-3.1-405b")
    assert kinds_of_rank(recipe, parse_layout("dp16.tp8.pp16.mb1")) == [[0], [*range(1, 15)], [15]]
    assert kinds_of_rank(recipe, parse_layout("dp256.tp8.mb1")) == [[0]]


def test_a_phase_is_rehearsed_on_its_own_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, str]] = []

    def rehearse(recipe: Recipe, cluster: Cluster, layout: Layout) -> list[Comparison]:
        seen.append((recipe.batch.sequence_length, str(layout)))
        return []

    monkeypatch.setattr("altiplano.rehearsal.rehearse.rehearse", rehearse)
    monkeypatch.setattr("altiplano.rehearsal.rehearse.as_text", lambda *arguments: "")
    job = ["rehearse", "llama-3.1-8b-128k", "--cluster", "h100-8"]
    assert [run([*job, *more]) for more in ([], ["--phase", "context-96k"], ["--phase", "context-20k"])] == [0, 0, 2]
    assert seen == [(8192, "dp4.tp2.pp1.mb1"), (98304, "dp1.tp4.pp1.cp2.mb1.recompute-selective")]
    asked = ["--phase", "context-96k", "--layout"]
    of_the_phase_alone = "dp1.tp2.pp1.cp3"  # 8,192 tokens do not fall into six equal parts
    layouts = ("dp1.tp8.pp1", of_the_phase_alone, "dp1.tp2.pp1.cp7")
    assert [run([*job, *asked, layout]) for layout in layouts] == [0, 0, 2]
    assert seen[2:] == [(98304, "dp1.tp8.pp1"), (98304, of_the_phase_alone)]
    assert run([*job, "--layout", of_the_phase_alone]) == 2


@pytest.mark.parametrize(
    ("layouts", "more", "message"),
    [
        ('contxt-96k = "tp8"', [], "has a layout for contxt-96k"),
        ('main = "tp8"\ncontext-96k = "tp8"', ["--layout", "dp1.tp2.pp1.cp7"], "98,304"),
    ],
)
def test_the_layout_of_a_phase_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], layouts: str, more: list[str], message: str
) -> None:
    cluster = tmp_path / "cluster.toml"
    known = tomllib.loads((shipped("clusters") / "h100-8.toml").read_text())
    known["layouts"] = {"llama-3.1-8b-128k": tomllib.loads(layouts)}
    cluster.write_text(tomli_w.dumps(known))
    job = ["rehearse", "llama-3.1-8b-128k", "--cluster", str(cluster), "--phase", "context-96k", *more]
    assert run(job) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_rehearsal_leaves_no_rank_behind(how: signal.Signals) -> None:
    command = [sys.executable, "-m", "altiplano", "rehearse", "llama-3.1-405b", "--layout", "dp16.tp8.pp16.mb1"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background, and all its children, would not hear it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    while len(ranks := children(process.pid)) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.kill()
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert errors.splitlines()[-1] == "altiplano: interrupted"
    end = time.monotonic() + 30
    while any(alive(rank) for rank in ranks):
        assert time.monotonic() < end
        time.sleep(0.05)
