"""What is asked of a model over a mesh, in its fast form, and the mistakes around it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import forked
import numpy as np
import pytest
from small import SMALL
from trainings import run

from altiplano.cli import run as command
from altiplano.inference.packing import pack, windows_of
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.records import TextEvaluation
from altiplano.stages.run import recipe_toml
from altiplano.storage import digest
from altiplano.tokens.loader import IGNORED
from altiplano.training.checkpoints.checkpoint import DIGESTS
from altiplano.training.job import Job


def test_a_mesh_answers_and_exports_as_one_process(tmp_path: Path) -> None:
    """``make contract`` does every layout."""
    forked.run("distributed.scoring_contract", "--few", "--precision", "float32", output=tmp_path / "output")


def test_rows_are_packed_where_they_fit_and_see_no_other() -> None:
    sizes = [5, 8, 0, 3, 2, 8, 1]
    places = pack(sizes, 8)
    assert [place.end - place.start for place in places] == sizes
    assert max(place.window for place in places) == 3  # 27 tokens
    rows = [np.full(size, number + 1) for number, size in enumerate(sizes)]
    batch = windows_of(rows, rows, places, 8)
    for row, place in zip(rows, places, strict=True):
        here = batch.document[place.window, place.start : place.end].unique()
        assert len(here) == min(1, len(row))
        inside = batch.document[place.window] == (here[0] if len(here) else -1)
        assert batch.tokens[place.window][inside].tolist() == row.tolist() if len(row) == 8 else True
        assert (batch.targets[place.window, place.start : place.end].numpy() == row).all()
    assert int((batch.targets != IGNORED).sum()) == sum(sizes)
    with pytest.raises(ValueError, match="9 tokens is longer than the model's 8"):
        pack([9], 8)


@pytest.fixture(scope="module")
def trained(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run(folder, tokenized, "dp1", [*SMALL, "batch.total_tokens=4096"])
    return folder


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_over_ranks_as_by_one_process(
    trained: Path, tokenized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``altiplano evaluate RUN/checkpoints/step-N`` in the middle of a training, by the command itself."""
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("quickstart", [*SMALL, "batch.total_tokens=4096"])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_text(recipe_toml(recipe))
    shutil.copytree(tokenized, tmp_path / "run" / "tokenize")
    shutil.copytree(trained / "checkpoints", tmp_path / "run" / "checkpoints")
    (tmp_path / "text.txt").write_text(" ".join(f"Number {number} stands here." for number in range(40)))
    place = str(next((tmp_path / "run" / "checkpoints").glob("step-*4")))
    found = []
    for layout in ([], ["--layout", "tp2"]):
        folder = f"scores{len(layout)}"
        assert command(["evaluate", place, "--texts", "text.txt", "--output", folder, *layout]) == 0
        found.append(TextEvaluation.read(tmp_path / folder / "texts.json").groups["text"])
    assert found[1].nll == pytest.approx(found[0].nll, rel=1e-6)
    assert (found[1].tokens, found[1].bytes) == (found[0].tokens, found[0].bytes)
    assert command(["evaluate", "run", "--texts", "text.txt", "--layout", "tp2"]) == 2


def export_again(folder: Path, tokens: Path) -> subprocess.CompletedProcess[str]:
    """As the stage does after training under torchrun."""
    recipe = load_recipe("quickstart", [*SMALL, "batch.total_tokens=4096"])
    job = Job(recipe=recipe, layout=parse_layout("dp1"), device="cpu", tokens=tokens, folder=folder)
    (folder / "job.json").write_text(job.model_dump_json())
    command = [sys.executable, "-m", "altiplano.training.export", str(folder / "job.json")]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_an_export_is_the_same_again_and_tells_its_hashes(trained: Path, tokenized: Path) -> None:
    weights = trained / "weights" / "model.safetensors"
    before = weights.read_bytes()
    assert json.loads((trained / DIGESTS).read_text()) == {weights.name: digest(weights)}
    weights.write_bytes(b"half of it")
    done = export_again(trained, tokenized)
    assert done.returncode == 0, done.stderr
    assert weights.read_bytes() == before


def test_a_damaged_checkpoint_is_set_aside_and_not_exported(trained: Path, tokenized: Path) -> None:
    (checkpoint,) = (trained / "checkpoints").glob("step-*4")
    file = next(checkpoint.glob("*.distcp"))
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    done = export_again(trained, tokenized)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "kept as damaged-step-00000004" in done.stderr, done.stderr
    assert (trained / "checkpoints" / "damaged-step-00000004").exists()
