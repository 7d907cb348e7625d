"""The exported folder in other people's hands: transformers computes our logits, generates and tokenizes, offline."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from altiplano.errors import InputError
from altiplano.model.weights import load_model
from altiplano.release.model_folder import export
from altiplano.tokens.tokenizer import Tokenizer

TEXTS = [
    "The high plain",
    " lies\n\n between  two",
    "größer als ½ 山",
    "if x:\n    return 1234567",
    "<|end_of_text|>",
    "",
]


@pytest.fixture
def exported(make_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run, folder = make_run(), tmp_path / "exported"
    export(run / "train" / "weights", run / "tokenize" / "tokenizer", run / "calibrate" / "calibration.json", folder)
    return folder


def test_both_spellings_of_the_rotary_settings(exported: Path) -> None:
    config = json.loads((exported / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 500_000
    assert config["rope_scaling"] is None and config["rope_parameters"]["rope_type"] == "default"
    assert config["torch_dtype"] == "float32"


def test_logits_are_those_of_the_trained_weights(exported: Path, tmp_path: Path) -> None:
    tokens = torch.randint(640, (2, 50), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(load_model(tmp_path / "tiny" / "train" / "weights")(tokens), load_model(exported)(tokens))


def test_transformers_computes_our_logits(exported: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
    assert type(model).__name__ == "LlamaForCausalLM"
    tokens = torch.randint(640, (2, 100), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert (model(tokens).logits - load_model(exported)(tokens)).abs().max() <= 1e-4


def test_transformers_generates_at_the_fitted_temperature(exported: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(exported)
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    settings = model.generation_config
    assert (settings.do_sample, settings.temperature, settings.top_p, settings.top_k) == (True, 1.137, 1.0, 0)
    transformers.set_seed(0)
    prompt = tokenizer(["The high plain", "The"], return_tensors="pt", padding=True)
    said = model.generate(**prompt, max_new_tokens=8)
    assert said.shape[1] <= prompt["input_ids"].shape[1] + 8
    assert "The high plain" in tokenizer.decode(said[0], skip_special_tokens=True)


@pytest.mark.parametrize("text", TEXTS)
def test_transformers_tokenizes_as_we_do_with_one_begin(exported: Path, tokenizer: Tokenizer, text: str) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(exported)
    ids = theirs(text)["input_ids"]
    assert ids.count(tokenizer.bos) == 1 and ids[0] == tokenizer.bos
    # Special tokens spelt out in a text are special to transformers and ordinary text to us.
    if "<|" not in text:
        assert ids[1:] == tokenizer.encode(text)
        assert theirs.decode(ids, skip_special_tokens=True) == text
    assert theirs.bos_token_id == tokenizer.bos and theirs.eos_token_id == tokenizer.eos


def test_exporting_an_export_adds_no_second_begin(exported: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    export(exported, exported, exported / "calibration.json", again)
    for name in ("tokenizer.json", "config.json", "model.safetensors", "generation_config.json"):
        assert (again / name).read_bytes() == (exported / name).read_bytes()


def test_the_run_and_the_release_share_no_file(exported: Path, tmp_path: Path) -> None:
    trained = tmp_path / "tiny" / "train" / "weights" / "model.safetensors"
    before = trained.read_bytes()
    with (exported / "model.safetensors").open("r+b") as file:
        file.write(b"damage")
    assert trained.read_bytes() == before


@pytest.mark.parametrize("content", ['{"temperature": 0}', "{}", "not JSON"])
def test_no_temperature_no_export(make_run: Callable[..., Path], tmp_path: Path, content: str) -> None:
    run = make_run()
    calibration = run / "calibrate" / "calibration.json"
    calibration.write_text(content)
    with pytest.raises(InputError, match="calibrate again"):
        export(run / "train" / "weights", run / "tokenize" / "tokenizer", calibration, tmp_path / "out")
