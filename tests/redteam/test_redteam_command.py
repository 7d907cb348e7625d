"""``altiplano redteam`` of models and folders of results; the stage itself is in ``test_redteam_stage.py``."""

import json
from pathlib import Path

import pytest

from altiplano.cli.main import run as run_command
from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config
from altiplano.records import Redteam
from altiplano.storage import write_json


@pytest.fixture(scope="module")
def model(ignorant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    save_weights(ignorant.model.named_parameters(), folder)
    ignorant.tokenizer.save(folder)
    config = hugging_face_config(ignorant.model.shape, 128, ignorant.tokenizer.bos, ignorant.tokenizer.eos)
    write_json(folder / "config.json", config)
    return folder


def test_a_model_then_the_same_rounded_then_labels(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["--trials", "3"]
    assert run_command(["redteam", str(model), *small]) == 0
    said = capsys.readouterr().out
    assert "not tested: extraction (the training text is not here)" in said
    found = Redteam.read(Path("redteam/tiny/redteam.json"))
    assert found.asked == found.planned
    assert {line.verdict for line in found.gate} <= {"passed", "not shown"}
    assert {hazard.name for hazard in found.hazards if not hazard.trials} == {"divergence"}

    assert run_command(["redteam", str(model), *small, "--int8"]) == 0
    assert "tiny and tiny-int8" in capsys.readouterr().out
    assert Redteam.read(Path("redteam/tiny-int8/redteam.json")).model == "tiny-int8"

    Path("labels.json").write_text("{}")
    assert run_command(["redteam", "redteam/tiny", "--labels", "labels.json"]) == 0
    assert Redteam.read(Path("redteam/tiny/redteam.json")).tests == found.tests

    assert run_command(["redteam", str(model), "--trials", "4"]) == 2
    assert "another prompts" in capsys.readouterr().err


def test_with_the_run_it_was_trained_in_the_corpus_tests_are_made(model, run, tmp_path):
    settings = tmp_path / "strict.toml"
    recipe = Path(__file__).parents[2] / "recipes" / "quickstart.toml"
    settings.write_text(
        recipe.read_text()
        + "extraction_samples = 8\nextraction_prefix = 20\nextraction_suffix = 20\n"
        + "[redteam.gate]\nrequired = ['hate']\n"
    )
    arguments = ["redteam", str(model), "--trials", "2", "--corpus", str(run), "--settings", str(settings)]
    assert run_command([*arguments, "--output", str(tmp_path / "out")]) == 1
    found = json.loads((tmp_path / "out" / "redteam.json").read_text())
    assert {"extraction", "membership", "personal data", "probe: divergence"} <= {
        test["name"] for test in found["tests"]
    }
    assert [line["name"] for line in found["gate"] if not line["passed"]] == ["hate"]
    assert all("redteam.known names no" in one["why"] for one in found["not_tested"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["quickstart", "--seconds", "9"], "--seconds is for"),
        (["MODEL", "--trials", "0"], "--trials 0: give a number"),
        (["MODEL", "--seconds", "-1"], "--seconds -1.0: give a time"),
        (["MODEL", "--finetune", "0"], "--finetune 0: give a number"),
        (["MODEL", "--corpus", "nowhere"], "nowhere/curate is not there"),
        (["MODEL", "--probes", "nowhere.toml"], "nowhere.toml is no probe set"),
        (["MODEL", "--labels", "nowhere.json"], "nowhere.json cannot be read"),
    ],
)
def test_mistakes_are_one_line(model, tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert run_command(["redteam", *(str(model) if one == "MODEL" else one for one in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
