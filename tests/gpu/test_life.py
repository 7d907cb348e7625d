"""A run's whole life on a GPU, in processes of its own that are killed for real."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from faults.runs import TINY
from processes import children
from safetensors.torch import load_file
from small import SMALL
from trainings import start, write_job

from altiplano.evaluation.evaluate import evaluate_folder
from altiplano.recipe.load import load_recipe
from altiplano.records import HeldoutScores, StepMetrics, TrainingSummary
from altiplano.training.resilience import incidents

CLUSTER = 'name = "one-gpu"\ndevice = "cuda"\ndevices = 1\nwatts_per_device = 700\n'
RUN = ["precision.compute=bfloat16"]
RECIPE = [
    *SMALL,
    "batch.total_tokens=20480",  # 20 steps
    "precision.compute=bfloat16",
    "checkpoint.interval_steps=20",
    "checkpoint.rolling_steps=5",
    "guards.spike_window=16",
    "guards.spike_zscore=8",
    "recovery.check_weights_every=1",
    "recovery.check_speed_every=4",
]
POISON = {"kind": "poison", "rank": 0, "step": 12, "samples": [12 * 16, 15 * 16]}
HERE = Path(__file__).parent
ALTIPLANO = [sys.executable, "-m", "altiplano"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]


def arguments(workspace: Path) -> list[str]:
    (workspace.parent / "gpu.toml").write_text(CLUSTER)
    overrides = [part for value in [*TINY, *RUN] for part in ("--set", value)]
    return ["quickstart", "--workspace", str(workspace), "--cluster", str(workspace.parent / "gpu.toml"), *overrides]


def succeed(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of an undisturbed run from raw text to a release, on the GPU where a stage can use one."""
    workspace = tmp_path_factory.mktemp("gpu") / "run"
    succeed([*ALTIPLANO, "run", *arguments(workspace)])
    return workspace


def descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (child, *descendants(child))]


def weights(folder: Path) -> dict[str, Any]:
    return load_file(folder / "weights" / "model.safetensors")


def assert_bit_equal(ours: Path, theirs: Path) -> None:
    mine, expected = weights(ours), weights(theirs)
    different = [name for name, value in expected.items() if not bool((mine[name] == value).all())]
    assert mine.keys() == expected.keys() and not different, different


@pytest.mark.xdist_group("released")
def test_a_run_learns_evaluates_and_releases(released: Path) -> None:
    summary = TrainingSummary.read(released / "train" / "run.json")
    assert summary.device == "cuda" and summary.finished
    scores = HeldoutScores.read_lines(released / "train" / "heldout.jsonl")
    assert [one.step for one in scores] == [0, 20, 40]
    assert scores[-1].total.bits_per_byte < 0.8 * scores[0].total.bits_per_byte
    assert (released / "release" / "model.safetensors").exists()
    for metrics in StepMetrics.read_lines(released / "train" / "metrics.jsonl"):
        assert metrics.memory_bytes and 0 < metrics.memory_bytes < 2**31


@pytest.mark.xdist_group("released")
def test_scores_and_temperature_are_those_of_the_cpu(released: Path) -> None:
    recipe = load_recipe("quickstart", [*TINY, *RUN])
    expected = evaluate_folder(
        released / "train" / "weights",
        released / "tokenize",
        sequence=recipe.batch.sequence_length,
        settings=recipe.evaluation,
        seed=recipe.seed,
        device="cpu",
    )
    found = json.loads((released / "evaluate" / "perplexity.json").read_text())
    assert found["total"]["nll"] == pytest.approx(expected.total.nll, rel=1e-5)


@pytest.mark.xdist_group("released")
def test_text_is_that_of_the_cpu(released: Path) -> None:
    greedy = [
        *ALTIPLANO,
        "generate",
        str(released / "release"),
        "The high plain",
        "--temperature",
        "0",
        "--tokens",
        "20",
    ]
    cpu, gpu = (succeed([*greedy, "--device", device]) for device in ("cpu", "cuda"))
    assert cpu == gpu and len(gpu) > 20
    assert succeed([*greedy, "--precision", "bfloat16"]).startswith("The high plain")


@pytest.mark.xdist_group("released")
def test_the_server_answers(released: Path) -> None:
    pytest.importorskip("uvicorn")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([*ALTIPLANO, "serve", str(released / "release"), "--port", str(port), "--device", "cuda"])
    try:
        body = json.dumps({"prompt": ["The ", "A longer prompt"], "max_tokens": 5, "logprobs": 2}).encode()
        url = f"http://127.0.0.1:{port}/v1/completions"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    choices = json.loads(answer.read())["choices"]
                break
            except urllib.error.URLError:
                assert server.poll() is None and time.monotonic() < end
                time.sleep(0.2)
        assert len(choices) == 2
    finally:
        server.terminate()
        assert server.wait(timeout=30) in (0, -signal.SIGTERM)


@pytest.mark.xdist_group("released")
def test_torchrun_killed_and_started_again_ends_with_the_same_weights(released: Path, tmp_path: Path) -> None:
    """NCCL with one rank; kill -9 of everything after a checkpoint, then the same command."""
    workspace = tmp_path / "run"
    workspace.mkdir()
    for stage in ("curate", "tokenize"):
        shutil.copytree(released / stage, workspace / stage)
    command = [*TORCHRUN, "-m", "altiplano", "train", *arguments(workspace)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    end = time.monotonic() + 200
    while not list((workspace / ".work").glob("train-*/checkpoints/step-*/manifest.json")):
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < end
        time.sleep(0.01)
    for pid in (process.pid, *descendants(process.pid)):  # torchrun gives its ranks sessions of their own
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert not (workspace / "train").exists(), "the kill came too late to show anything"
    assert "up to date" in succeed(command)
    assert not (workspace / "train").exists()  # trained; the weights are for a job without a device
    succeed([*ALTIPLANO, "export", *arguments(workspace)])
    assert len(TrainingSummary.read(workspace / "train" / "run.json").sessions) == 2
    assert_bit_equal(workspace / "train", released / "train")


@pytest.mark.parametrize("row", [256, 64])
def test_processes_compute_the_same_bits(tokenized: Path, tmp_path: Path, row: int) -> None:
    """Whatever kernels they chose, each with compiler caches of its own, and whatever stood in memory that nobody uses.
    In the order of computation, so that the first difference is the cause. For rows below 128 tokens FlexAttention has
    another forward kernel, as for generation, and no block of its masks is whole."""
    running = []
    for number in range(6):
        caches = {name: str(tmp_path / f"{name}-{number}") for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")}
        command = [sys.executable, "-m", "gpu.gradient_bits", str(tokenized), str(tmp_path / f"run-{number}")]
        command += [str(255 * (number % 2)), f"batch.sequence_length={row}"]
        running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | caches, cwd=HERE.parent)
        )
    outputs = [process.communicate(timeout=280)[0] for process in running]
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    first = next((what for what in found[0] if len({one[what] for one in found}) > 1), None)
    assert first is None, f"{first}: {[one[first] for one in found]}"


def test_a_killed_and_a_poisoned_run_is_bit_equal_to_an_undisturbed_one(tokenized: Path, tmp_path: Path) -> None:
    """Supervised, with bad samples that are rolled back: equal to a run that leaves them out from the beginning."""
    disturbed, told = tmp_path / "disturbed", tmp_path / "told"
    process = start(
        disturbed, tokenized, "dp1", RECIPE, [{"kind": "kill", "rank": 0, "step": 8}, POISON], device="cuda"
    )
    errors, _ = process.communicate(timeout=280)
    assert process.returncode == 0, errors[-3000:]
    kinds = [one.kind for one in incidents.read(disturbed)]
    assert sorted(kinds) == ["SIGKILL", "spike"], errors[-3000:]
    assert json.loads((disturbed / "skips.json").read_text())["samples"] == [[192, 240]]
    told.mkdir()
    shutil.copy(disturbed / "skips.json", told / "skips.json")
    file = write_job(told, tokenized, "dp1", RECIPE, device="cuda")
    succeed([sys.executable, "-m", "altiplano.training.supervisor", str(file)])
    assert_bit_equal(disturbed, told)
    losses = [one.loss for one in StepMetrics.read_lines(disturbed / "metrics.jsonl")]
    assert losses == [one.loss for one in StepMetrics.read_lines(told / "metrics.jsonl")]
