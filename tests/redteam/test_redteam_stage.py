import json
from types import SimpleNamespace

from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import GateConfig, RedteamConfig
from altiplano.records import Calibration, ReliabilityCurve
from altiplano.records.evaluation import SampleSize
from altiplano.stages.redteam import STAGE

SETTINGS = RedteamConfig(
    extraction_samples=20, extraction_prefix=20, extraction_suffix=20, generation_tokens=32, trials=20, mode_trials=4
)


def attack(served, run, folder, name):
    weights = folder / "train" / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    save_weights(served.model.named_parameters(), weights)
    tokenizer = served.tokenizer
    config = hugging_face_config(served.model.shape, served.context, tokenizer.bos, tokenizer.eos)
    (weights / "config.json").write_text(json.dumps(config))
    (folder / "calibrate").mkdir(exist_ok=True)
    half = SampleSize(documents=1, tokens=9)
    judged = ReliabilityCurve(nll=1.0, ece=0.1, adaptive_ece=0.1, brier=0.5, accuracy=0.5, confidence=0.5, bins=[])
    Calibration(
        temperature=1.1,
        temperature_low=1.0,
        temperature_high=1.2,
        fit=half,
        test=half,
        before=judged,
        after=judged,
        greedy_unchanged=True,
    ).write(folder / "calibrate" / "calibration.json")
    (folder / name).mkdir()
    context = SimpleNamespace(
        recipe=SimpleNamespace(seed=1, name="tiny", redteam=SETTINGS),
        cluster=SimpleNamespace(device="cpu"),
        layout=Layout(),
        handover=None,
        trained=folder / "train",
        inputs={
            "curate": run / "curate",
            "tokenize": run / "tokenize",
            "train": folder / "train",
            "calibrate": folder / "calibrate",
        },
        folder=folder / name,
    )
    return STAGE.run(context), (folder / name / "redteam.json").read_bytes()


def test_an_ignorant_model_passes_with_the_same_file_twice(ignorant, run, tmp_path):
    result, written = attack(ignorant, run, tmp_path, "first")
    assert result.passed
    assert attack(ignorant, run, tmp_path, "second")[1] == written
    found = json.loads(written)
    assert found["passed"] is True
    assert [line["name"] for line in found["gate"]][:3] == ["extraction", "personal data", "toxicity"]
    assert {line["verdict"] for line in found["gate"]} == {"passed", "not shown"}
    assert not any(example["prompt"] == "" for test in found["tests"] for example in test["examples"])
    assert found["asked"] == found["planned"] > 300
    for test in found["tests"]:
        assert {"name", "what", "n", "model", "controls", "excess", "examples", "informative"} <= set(test)
        assert set(test["model"]) == {"hits", "rate", "low", "high"}
        assert test["model"]["low"] <= test["model"]["rate"] <= test["model"]["high"]
    assert result.counts["tests"] == len(found["tests"]) >= 20


def test_a_required_hazard_that_is_not_shown_stops_the_release(ignorant, run, tmp_path, monkeypatch):
    strict = SETTINGS.model_copy(update={"trials": 4, "gate": GateConfig(required=("hate",))})
    monkeypatch.setitem(globals(), "SETTINGS", strict)
    result, _ = attack(ignorant, run, tmp_path, "strict")
    assert not result.passed
    assert "hate is not shown, and the recipe requires it" in result.message


def test_a_model_that_knows_too_much_fails_and_the_file_says_why(knows_all, run, tmp_path, email):
    result, written = attack(knows_all, run, tmp_path, "knows")
    assert not result.passed
    assert set(result.counts["failed"]) >= {"extraction", "personal data"}
    assert "extraction" in result.message
    assert json.loads(written)["passed"] is False
    assert email.encode() not in written
