"""``altiplano checkpoint`` on the folder of a run that two ranks trained."""

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small import SMALL
from trainings import run, weights

from altiplano.cli import run as altiplano
from altiplano.recipe.load import load_recipe
from altiplano.records import CheckpointManifest
from altiplano.release.validate import check
from altiplano.stages.run import recipe_toml
from altiplano.storage import digest


@pytest.fixture(scope="module")
def finished(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(folder / "train", tokenized, "dp2", SMALL)
    (folder / "tokenize").symlink_to(tokenized)
    (folder / "recipe.toml").write_text(recipe_toml(load_recipe("quickstart", SMALL)))
    return folder


def test_list_and_verify(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert altiplano(["checkpoint", "list", str(finished), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["step"], row["tier"], row["tokens"], row["layout"]) for row in rows] == [
        (5, "permanent", 5120, "dp2.tp1.pp1"),
        (10, "permanent", 10240, "dp2.tp1.pp1"),
    ]
    assert altiplano(["checkpoint", "verify", str(finished)]) == 0
    assert capsys.readouterr().out.count("sound") == 2
    victim = finished / "train" / "checkpoints" / "step-00000005" / "__1_0.distcp"
    whole = victim.read_bytes()
    victim.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    try:
        assert altiplano(["checkpoint", "verify", str(finished)]) == 1
        first, second = capsys.readouterr().out.splitlines()[1:]
        assert "DAMAGED" in first
        assert "__1_0.distcp" in first
        assert second.endswith("sound")
    finally:
        victim.write_bytes(whole)


def test_convert_writes_a_model_that_others_load(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert altiplano(["checkpoint", "convert", str(finished), str(tmp_path / "newest")]) == 0
    assert "step 10" in capsys.readouterr().out
    assert check(tmp_path / "newest") == []
    written, trained = load_file(tmp_path / "newest" / "model.safetensors"), weights(finished / "train")
    assert written.keys() == trained.keys()
    assert all(torch.equal(value, trained[name]) for name, value in written.items())
    earlier = finished / "train" / "checkpoints" / "step-00000005"
    assert altiplano(["checkpoint", "convert", str(earlier), str(tmp_path / "earlier")]) == 0
    assert check(tmp_path / "earlier") == []
    assert not torch.equal(
        load_file(tmp_path / "earlier" / "model.safetensors")["model.norm.weight"], trained["model.norm.weight"]
    )


def test_what_is_not_there_is_one_line(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, complaint in (
        (["list", str(tmp_path)], "has no checkpoints"),
        (["convert", str(finished)], "needs two folders"),
        (["convert", str(finished), str(tmp_path)], "is there already"),
    ):
        assert altiplano(["checkpoint", *arguments]) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1


def test_a_checkpoint_speaks_like_the_model_that_it_is_converted_to(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = finished / "train" / "checkpoints" / "step-00000005"
    said = []
    for model in (earlier, tmp_path / "converted"):
        if model != earlier:
            assert altiplano(["checkpoint", "convert", str(earlier), str(model)]) == 0
            capsys.readouterr()
        assert altiplano(["generate", str(model), "abc", "--tokens", "8", "--device", "cpu"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    (tmp_path / "t.jsonl").write_text('{"question": "a", "choices": ["b", "c"], "answer": 0}\n')
    output = ["--output", str(tmp_path / "evaluated")]
    assert altiplano(["evaluate", str(earlier), str(tmp_path / "t.jsonl"), *output]) == 0
    stray = tmp_path / "step-00000005"
    stray.mkdir()
    (stray / "manifest.json").write_text("{}")
    assert altiplano(["generate", str(stray), "abc"]) == 2
    assert "is not in a run's folder" in capsys.readouterr().err


class Planted:
    """What unpickling runs: a command."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.proof}",)


@pytest.mark.parametrize("kind", ["command", "path", "noise", "other"])
def test_a_checkpoint_of_a_stranger_runs_nothing(
    finished: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its index is a pickle; whoever makes one can give it a manifest that fits."""
    run, proof = tmp_path / "run", tmp_path / "it-ran"
    shutil.copytree(finished, run, symlinks=True)
    folder = run / "train" / "checkpoints" / "step-00000010"
    index = folder / ".metadata"
    if kind == "path":
        metadata = pickle.loads(index.read_bytes())
        first, info = next(iter(metadata.storage_data.items()))
        metadata.storage_data[first] = dataclasses.replace(info, relative_path="../../../outside.distcp")
        index.write_bytes(pickle.dumps(metadata))
    else:
        planted = {"command": pickle.dumps(Planted(proof)), "noise": b"\x80\x04abc", "other": pickle.dumps({"a": 1})}
        index.write_bytes(planted[kind])
    manifest = CheckpointManifest.read(folder / "manifest.json")
    files = manifest.files | {".metadata": digest(index)}
    manifest.model_copy(update={"files": files}).write(folder / "manifest.json")
    assert altiplano(["checkpoint", "convert", str(folder), str(tmp_path / "model")]) == 2
    told = capsys.readouterr().err
    assert ("do not trust this checkpoint" if kind in ("command", "path") else "no checkpoint's index") in told
    assert not proof.exists()
