"""kill -9 in the middle of every stage, then the same command: it finishes, with the hashes of an undisturbed run."""

import json
import shutil
from pathlib import Path

import pytest

from faults.runs import STAGES, WITHOUT_PYTORCH, finish, hashes, kill_within, start, whole_run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_run(tmp_path_factory)


@pytest.mark.slow
def test_a_run_killed_in_every_stage_ends_with_the_same_hashes(undisturbed: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    killed = {stage: kill_within(workspace, stage, delay=0.3 if stage == "curate" else 0.05) for stage in STAGES}
    finish(workspace)
    assert hashes(workspace) == hashes(undisturbed)
    # The kill must have met each stage at work, or this test shows nothing.
    assert sum(killed.values()) >= 6, killed


@pytest.mark.slow
def test_a_finished_run_computes_nothing_again(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for stage in STAGES for path in (undisturbed / stage).rglob("*")}
    output = finish(undisturbed)
    assert output.count("up to date") == len(STAGES)
    assert before == {path: path.stat().st_mtime_ns for stage in STAGES for path in (undisturbed / stage).rglob("*")}


def test_a_check_computes_nothing_and_says_whether_all_is_done(undisturbed: Path) -> None:
    before = sorted(undisturbed.rglob("*"))
    for command, extra, code in (("run", [], 0), ("train", [], 0), ("train", ["optimizer.learning_rate=2e-3"], 1)):
        process = start(undisturbed, command, extra, check=True)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == code, errors
        assert errors == ("" if code == 0 else f"altiplano: train is not up to date in {undisturbed}\n")
    assert sorted(undisturbed.rglob("*")) == before


def test_a_check_needs_no_pytorch(undisturbed: Path) -> None:
    """Its import takes seconds, and a job asks after each of its commands."""
    process = start(undisturbed, check=True, program=("-c", WITHOUT_PYTORCH))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def test_the_release_loads_in_transformers_with_our_logits(undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")
    import torch

    from altiplano.model.weights import load_model

    folder = undisturbed / "release"
    theirs, ours = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), load_model(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer("The bees return when the linden trees", return_tensors="pt").input_ids
    assert (theirs(tokens).logits - ours(tokens)).abs().max() < 1e-4
    assert theirs.generate(tokens, max_new_tokens=5, do_sample=False).shape[1] == tokens.shape[1] + 5
    with torch.inference_mode():
        assert tokens[0, 0] == json.loads((folder / "config.json").read_text())["bos_token_id"]


def test_a_damaged_shard_is_refused_before_training(undisturbed: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    shutil.copytree(undisturbed, workspace)
    shard = next((workspace / "tokenize" / "train").glob("*.bin"))
    original = shard.read_bytes()
    shard.write_bytes(original[:-2] + bytes([original[-2] ^ 1, original[-1]]))
    process = start(workspace, "train", ["optimizer.learning_rate=2e-3"])
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "is not what tokenize wrote (sha256 differs)" in errors.splitlines()[-1]
    assert "Traceback" not in errors
