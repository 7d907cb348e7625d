"""Continued pre-training: a run begins with another model's weights and its tokenizer, under every layout."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small import SMALL, write_tokenized
from trainings import records, run

from altiplano.errors import InputError
from altiplano.evaluation.evaluate import evaluate_folder
from altiplano.model.weights import (
    WeightFiles,
    hugging_face_config,
    load_model,
    pretrained_weights,
    weights_fingerprint,
)
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe

SHAPE = [*SMALL, "model.num_hidden_layers=2", "model.num_attention_heads=4", "model.num_key_value_heads=2"]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    write_tokenized(folder)
    return folder


def settings(model: Path | None, tied: bool) -> list[str]:
    pretrained = [f"pretrained={model}"] if model else []
    return [*SHAPE, f"model.tie_word_embeddings={str(tied).lower()}", *pretrained]


def make_model(folder: Path, tied: bool) -> Path:
    """A Llama of transformers, in bfloat16, as models are published."""
    transformers = pytest.importorskip("transformers")
    shape = load_recipe("quickstart", settings(None, tied)).model
    torch.manual_seed(1)
    config = transformers.LlamaConfig(**hugging_face_config(shape, 64, 512, 513))
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("pretrained"), tied=False)


def begun(model: Path, *overrides: str) -> Recipe:
    return load_recipe("quickstart", [*settings(model, tied=False), *overrides])


@pytest.mark.parametrize(
    "tied", [pytest.param(False, id="untied", marks=pytest.mark.slow), pytest.param(True, id="tied")]
)
def test_the_first_evaluation_is_the_models_own(tied: bool, tokens: Path, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", tied)
    run(tmp_path / "run", tokens, "dp1", settings(model, tied), stop_after=1)
    first = records(tmp_path / "run" / "heldout.jsonl")[0]
    own = evaluate_folder(model, tokens, sequence=64, settings=begun(model).evaluation, seed=0)
    assert first["step"] == 0
    for name, scores in own.groups.items():
        assert first["groups"][name]["bits_per_byte"] == pytest.approx(scores.bits_per_byte, rel=1e-4)


@pytest.mark.parametrize("layouts", [("tp2",), pytest.param(("dp2", "pp2"), marks=pytest.mark.slow)])
def test_layouts_begin_and_go_on_alike(layouts: tuple[str, ...], model: Path, tokens: Path, tmp_path: Path) -> None:
    losses = []
    for layout in ("dp1", *layouts):
        run(tmp_path / layout, tokens, layout, settings(model, tied=False), stop_after=3)
        losses.append([line["loss"] for line in records(tmp_path / layout / "metrics.jsonl")])
    assert np.allclose(losses, losses[0], rtol=1e-5)
    run(tmp_path / "random", tokens, "dp1", settings(None, tied=False), stop_after=1)
    assert records(tmp_path / "random" / "metrics.jsonl")[0]["loss"] != pytest.approx(losses[0][0], rel=1e-6)


def test_parts_are_read_alone(model: Path) -> None:
    files, whole = WeightFiles(model), load_model(model)
    for name, value in whole.named_parameters():
        assert torch.equal(files.read(name).float(), value)
        part = tuple(slice(size // 3, size) for size in value.shape)
        assert torch.equal(files.read(name, part).float(), value[part])


def test_another_shape_is_refused_with_the_keys(model: Path) -> None:
    other = begun(model, "model.hidden_size=128", "model.rope_theta=1000", "model.initializer_range=0.5")
    with pytest.raises(InputError, match=r"--set model\.hidden_size=64 --set model\.rope_theta=500000\.0") as error:
        pretrained_weights(other)
    assert "initializer_range" not in str(error.value)
    with pytest.raises(InputError, match=r"is not a model folder: config\.json is missing"):
        pretrained_weights(begun(model.parent / "nowhere"))


def test_a_missing_parameter_is_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((model / "config.json").read_text())
    values = load_file(model / "model.safetensors")
    del values["model.norm.weight"]
    save_file(values, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"has no norm\.weight of shape \(64,\)"):
        pretrained_weights(begun(tmp_path))


def test_other_weights_are_another_run(model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    same = weights_fingerprint(tmp_path)
    assert same == weights_fingerprint(model)
    data = bytearray((tmp_path / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(data)
    assert weights_fingerprint(tmp_path) != same


def changed(
    model: Path, folder: Path, config: dict[str, object], values: dict[str, torch.Tensor] | None = None
) -> Path:
    """The model's folder with other keys in its configuration, and other or more weights."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(json.loads((model / "config.json").read_text()) | config))
    save_file(load_file(model / "model.safetensors") | (values or {}), folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_act": "gelu"},
        {"head_dim": 8},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"quantization_config": {"quant_method": "gptq"}},
    ],
    ids=lambda config: next(iter(config)),
)
def test_what_only_looks_like_a_llama_is_refused(model: Path, tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(InputError, match=rf"{next(iter(config))}.* in config\.json: only Llama's own architecture"):
        WeightFiles(changed(model, tmp_path / "other", config))


def test_quantised_weights_and_more_than_a_llama_has_are_refused(model: Path, tmp_path: Path) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    whole = load_file(model / "model.safetensors")[name]
    with pytest.raises(InputError, match=rf"{name} in .* is of I8: quantised"):
        WeightFiles(changed(model, tmp_path / "int8", {}, {name: whole.to(torch.int8)}))
    bias = {"model.layers.0.self_attn.q_proj.bias": torch.zeros(64)}
    with pytest.raises(InputError, match=r"has layers\.0\.self_attn\.q_proj\.bias, which the recipe's model"):
        pretrained_weights(begun(changed(model, tmp_path / "bias", {}, bias)))


def test_folders_with_other_files_of_weights(model: Path, tmp_path: Path) -> None:
    both = changed(model, tmp_path / "both", {})
    save_file({"layers.0.attention.wq.weight": torch.zeros(4)}, both / "consolidated.safetensors")  # as Meta names it
    assert WeightFiles(both).sizes == WeightFiles(model).sizes
    (both / "model.safetensors").rename(both / "pytorch_model.bin")
    (both / "consolidated.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no \*\.safetensors files"):
        WeightFiles(both)
    (both / "config.json").write_text("[]")
    with pytest.raises(InputError, match="does not describe a Llama model"):
        WeightFiles(both)
