"""Every lint of a model folder: a sound folder has no problem, and each damage is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from altiplano.errors import InputError
from altiplano.release.model_folder import export
from altiplano.release.validate import check


@pytest.fixture
def folder(make_run: Callable[..., Path], tmp_path: Path) -> Path:
    run, folder = make_run(), tmp_path / "exported"
    export(run / "train" / "weights", run / "tokenize" / "tokenizer", run / "calibrate" / "calibration.json", folder)
    return folder


def edit(file: Path, **changes: Any) -> None:
    """Set keys of a JSON file; None removes one."""
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def second_begin(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    template = content["post_processor"]["processors"][1]["single"]
    template.insert(0, template[0])
    file.write_text(json.dumps(content))


def drop_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors")


def spoil_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][3] = torch.nan
    save_file(weights, folder / "model.safetensors")


def cut_the_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def flip_a_bit(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"outputs": {"model.safetensors": "0" * 64}}))


def write(name: str, content: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(content)


DAMAGE: list[tuple[Callable[[Path], Any], str]] = [
    (lambda f: edit(f / "config.json", rope_parameters=None), "rope_parameters is missing"),
    (lambda f: edit(f / "config.json", rope_theta=None), "rope_theta is missing"),
    (lambda f: edit(f / "config.json", rope_theta=10_000.0), "rope_theta = 10000.0 but"),
    (lambda f: edit(f / "config.json", temperature=1.137), "applied twice"),
    (lambda f: edit(f / "config.json", eos_token_id=5), "eos: <|end_of_text|> is token"),
    (lambda f: edit(f / "config.json", vocab_size=700), "config.json needs (700"),
    (lambda f: edit(f / "config.json", num_hidden_layers=3), "model.layers.2.input_layernorm.weight is missing"),
    (lambda f: edit(f / "generation_config.json", temperature=1.137**2), "applied twice"),
    (lambda f: edit(f / "generation_config.json", temperature=1.0), "is not the fitted 1.137"),
    (lambda f: edit(f / "generation_config.json", temperature=4.236), "but the answer temperature"),
    (lambda f: edit(f / "generation_config.json", do_sample=False), "do_sample"),
    (lambda f: edit(f / "generation_config.json", top_k=50), "top_k 0"),
    (lambda f: edit(f / "tokenizer_config.json", tokenizer_class="TokenizersBackend"), "TokenizersBackend"),
    (lambda f: edit(f / "tokenizer_config.json", chat_template="{{ bos_token }}{{ messages }}"), "comes twice"),
    (lambda f: edit(f / "tokenizer.json", post_processor=None), "does not add the begin token"),
    (second_begin, "adds the begin token 2 times"),
    (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json cannot be read"),
    (lambda f: (f / "tokenizer_config.json").unlink(), "tokenizer_config.json is missing"),
    (lambda f: (f / "model.safetensors").unlink(), "there are no weights"),
    (lambda f: (f / "model.safetensors").chmod(0o600), "permissions 0o600"),
    (drop_a_weight, "model.norm.weight is missing"),
    (spoil_a_weight, "not finite"),
    (cut_the_weights, "is damaged"),
    (flip_a_bit, "sha256 differs"),
]


def test_an_export_is_sound(folder: Path) -> None:
    assert check(folder) == []


def several_end_tokens(folder: Path) -> None:
    """As instruction-tuned Llama 3.1 has it."""
    end = json.loads((folder / "config.json").read_text())["eos_token_id"]
    edit(folder / "config.json", eos_token_id=[end, end + 1])
    edit(folder / "generation_config.json", eos_token_id=[end, end + 1])


def stray_frequencies(folder: Path) -> None:
    """As transformers saved them in every layer until 2023."""
    weights = load_file(folder / "model.safetensors")
    for layer in range(2):
        weights[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


@pytest.mark.parametrize("harmless", [several_end_tokens, stray_frequencies])
def test_what_other_tools_write_is_no_problem(folder: Path, harmless: Callable[[Path], None]) -> None:
    harmless(folder)
    assert check(folder) == []


def test_an_end_token_that_is_not_in_the_list_is_named(folder: Path) -> None:
    edit(folder / "config.json", eos_token_id=[5, 6])
    assert any("eos: <|end_of_text|> is token" in line for line in check(folder))


@pytest.mark.parametrize("content", ['{"outputs": {"model.safe', "[]", '"x"', "{}", '{"outputs": []}', "\0"])
def test_a_damaged_manifest_is_not_taken_for_none(folder: Path, content: str) -> None:
    write("manifest.json", content)(folder)
    assert [line for line in check(folder) if line.startswith("manifest.json is damaged")]


@pytest.mark.parametrize("content", ['{"a', "[]", '"x"'])
@pytest.mark.parametrize(
    "name",
    ["generation_config.json", "calibration.json", "tokenizer_config.json", "model.safetensors.index.json"],
)
def test_a_damaged_file_is_a_problem_and_no_traceback(folder: Path, name: str, content: str) -> None:
    write(name, content)(folder)
    assert [line for line in check(folder) if line.startswith(f"{name} is damaged")]
    assert not [line for line in check(folder) if "is missing" in line]


@pytest.mark.parametrize("content", ["{", "[]", '"x"', '{"model_type": "llama", "hidden_size": "x"}'])
def test_a_config_that_is_none_is_said_in_one_line(folder: Path, content: str) -> None:
    write("config.json", content)(folder)
    with pytest.raises(InputError, match=r"config\.json does not describe a Llama model"):
        check(folder)


@pytest.mark.parametrize(("damage", "problem"), DAMAGE, ids=[problem for _, problem in DAMAGE])
def test_damage_is_named(folder: Path, damage: Callable[[Path], Any], problem: str) -> None:
    damage(folder)
    assert any(problem in line for line in check(folder)), check(folder)


def test_other_logits_in_transformers_are_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    weights = load_file(other / "model.safetensors")
    weights["model.norm.weight"] *= 1.01
    save_file(weights, other / "model.safetensors")
    from altiplano.model import weights as ours

    monkeypatch.setattr("altiplano.release.validate.load_model", lambda _: ours.load_model(other))
    assert any("other logits" in line for line in check(folder))


def test_not_a_model_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json is missing"):
        check(tmp_path)
