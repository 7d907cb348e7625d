import json
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from answer_folders import evaluated

from altiplano.calibration.calibrate import calibrate
from altiplano.calibration.predictions import predict
from altiplano.calibration.windows import halves
from altiplano.errors import InputError
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import CalibrationConfig, ModelConfig
from altiplano.records import AnswerCalibration
from altiplano.stages import scoring
from altiplano.stages.calibrate import STAGE
from altiplano.tokens.shards import Shard, ShardWriter, read_shards, write_list

torch.set_num_threads(1)
VOCABULARY, CONTEXT = 600, 24


@pytest.fixture(scope="module")
def model() -> Llama:
    torch.manual_seed(0)
    model = Llama(
        ModelConfig(
            num_hidden_layers=2,
            hidden_size=32,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=48,
            vocab_size=VOCABULARY,
        )
    ).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(15)
    return model


@pytest.fixture(scope="module")
def shards(model: Llama, tmp_path_factory: pytest.TempPathFactory) -> list[Shard]:
    """Held-out documents that the model itself wrote at temperature 1.5."""
    folder = tmp_path_factory.mktemp("tokenize")
    torch.manual_seed(1)
    written = []
    for name, documents in {"web.en": 80, "web.de": 2, "code.code": 60, "academic.en": 1}.items():
        domain, language = name.split(".")
        writer = ShardWriter(folder / "heldout" / name, np.uint16)
        tokens = torch.full((documents, 1), VOCABULARY - 256)
        with torch.inference_mode():
            while tokens.shape[1] < 40:
                # Windows of 24 tokens that overlap by one, as the model will read them.
                start = (tokens.shape[1] - 1) // (CONTEXT - 1) * (CONTEXT - 1)
                logits = model(tokens[:, start:])[:, -1] / 1.5
                tokens = torch.cat([tokens, torch.multinomial(logits.softmax(-1), 1)], dim=1)
        for number in range(documents):
            writer.add(tokens[number, : 40 - number % 20].tolist(), 60)
        written.append(writer.close("heldout", domain, language))
    write_list(folder, written, VOCABULARY)
    return read_shards(folder, "heldout")


def test_both_halves_have_every_group_of_two_documents(shards: list[Shard]):
    fit, test = halves(shards, seed=0, context=CONTEXT, max_tokens=10**6)
    documents = [Counter(group for group, _ in {(w.group, w.document) for w in half}) for half in (fit, test)]
    for name, count in {"web.en": 80, "web.de": 2, "code.code": 60}.items():
        assert documents[0][name] == documents[1][name] == count / 2
    assert documents[0]["academic.en"] + documents[1]["academic.en"] == 1
    predicted = sum(len(window.tokens) - 1 for half in (fit, test) for window in half)
    assert predicted == sum(shard.tokens - shard.documents for shard in shards)
    starts = {window.tokens.tobytes() for window in fit} & {window.tokens.tobytes() for window in test}
    assert not starts


def test_a_budget_is_kept_and_shared(shards: list[Shard]):
    fit, test = halves(shards, seed=0, context=CONTEXT, max_tokens=200)
    for half in (fit, test):
        assert sum(len(window.tokens) - 1 for window in half) <= 100 + 2 * len(shards)
        assert {"web.en", "web.de", "code.code"} <= {window.group for window in half}


def test_the_temperature_of_the_text_is_found_and_helps(model: Llama, shards: list[Shard]):
    found = calibrate(partial(predict, model), shards, CONTEXT, CalibrationConfig(), seed=0)
    assert found.temperature_low < 1.5 < found.temperature_high
    assert found.after.nll < found.before.nll
    assert found.nll_gain.low > 0
    assert found.nll_gain.value == pytest.approx(found.before.nll - found.after.nll, abs=1e-6)
    assert found.after.ece < found.before.ece
    assert found.after.accuracy == found.before.accuracy
    assert found.greedy_unchanged is True
    assert set(found.domains) >= {"web", "code"}
    assert found.domains["web"].temperature == pytest.approx(1.5, abs=0.25)
    assert sum(group.tokens for group in found.groups.values()) == found.test.tokens


def test_too_little_text_is_refused(model: Llama, shards: list[Shard]):
    alone = [shard for shard in shards if shard.documents == 1]
    with pytest.raises(InputError, match=r"heldout\.fraction"):
        calibrate(partial(predict, model), alone, CONTEXT, CalibrationConfig(), seed=0)


@pytest.mark.parametrize("names", [(), ("a",), ("a", "b")])
def test_the_stage_writes_the_same_files_twice(
    model: Llama, shards: list[Shard], tmp_path: Path, names: tuple[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scoring.Tokenizer, "load", lambda path: None)  # it speaks no text
    weights = tmp_path / "train" / "weights"
    weights.mkdir(parents=True)
    save_weights(model.named_parameters(), weights)
    config = hugging_face_config(model.shape, CONTEXT, VOCABULARY - 256, VOCABULARY - 255)
    (weights / "config.json").write_text(json.dumps(config))
    if names:
        evaluated(tmp_path / "evaluate" / "benchmarks", names)
    written = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        context = SimpleNamespace(
            recipe=SimpleNamespace(seed=3, name="tiny", calibration=CalibrationConfig()),
            cluster=SimpleNamespace(device="cpu"),
            handover=None,
            trained=tmp_path / "train",
            layout=Layout(),
            inputs={
                "train": tmp_path / "train",
                "tokenize": shards[0].path.parent.parent,
                "evaluate": tmp_path / "evaluate",
            },
            folder=tmp_path / name,
        )
        result = STAGE.run(context)  # type: ignore[arg-type]
        written.append([file.read_bytes() for file in sorted((tmp_path / name).iterdir())])
    assert written[0] == written[1]
    found = json.loads(written[0][-1])
    assert len(written[0]) == (2 if len(names) == 2 else 1)
    if len(names) == 2:
        answers = AnswerCalibration.read(tmp_path / "first" / "answer_calibration.json")
        assert found["answer_temperature"] == answers.answer_temperature.as_json()
        assert found["answer_temperature"]["tasks"] == ["a", "b"] and result.counts["answer_items"] == 800
        assert found["temperature"] != found["answer_temperature"]["value"]
    else:
        assert "answer_temperature" not in found
    if len(names) == 1:
        assert "1 of the tasks offer choices" in result.counts["answer_temperature"]
    assert set(found) >= {"temperature", "temperature_low", "temperature_high", "fit", "test", "before", "after"}
    assert len(found["before"]["bins"]) == 15
    assert result.counts["temperature"] == found["temperature"]
