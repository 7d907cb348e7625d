"""Model folders of strangers: refused in one line, at once, and nothing outside of them is read."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from altiplano.errors import InputError
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import INDEX, ONE_FILE, hugging_face_name
from altiplano.model.weights import hugging_face_config, load_model
from altiplano.recipe.schema import ModelConfig

SHAPE = ModelConfig(
    num_hidden_layers=2,
    hidden_size=32,
    num_attention_heads=2,
    num_key_value_heads=1,
    intermediate_size=64,
    vocab_size=576,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    place.mkdir()
    weights = {hugging_face_name(name): value.detach() for name, value in Llama(SHAPE).named_parameters()}
    save_file({name: torch.ones_like(value) for name, value in weights.items()}, place / ONE_FILE)
    (place / "config.json").write_text(json.dumps(hugging_face_config(SHAPE, 64, 0, 1)))
    load_model(place)
    return place


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/hostname", "sub/model.safetensors", "", 7, None, "."])
def test_an_index_names_files_beside_it_alone(folder: Path, name: object) -> None:
    (folder.parent / "outside.safetensors").write_bytes((folder / ONE_FILE).read_bytes())
    (folder / INDEX).write_text(json.dumps({"weight_map": {"model.norm.weight": name}}))
    with pytest.raises(InputError, match=r"do not trust this folder|is missing"):
        load_model(folder)


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    (folder / ONE_FILE).unlink()
    os.mkfifo(folder / ONE_FILE)
    with pytest.raises(InputError, match="is no file"):
        load_model(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"model.norm.weight": ONE_FILE}}))
    with pytest.raises(InputError, match="is missing"):
        load_model(folder)


@pytest.mark.parametrize("layers", [1_000_000, 3, 1])
def test_layers_that_are_not_there_are_not_made(folder: Path, layers: int) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
    with pytest.raises(InputError, match=rf"2 layers, not {layers:,}"):
        load_model(folder)


@pytest.mark.parametrize("content", ["", "[]", "null", "{", '{"model_type": "llama"}', '{"model_type": 3}', "\x00\xff"])
def test_a_config_that_is_none(folder: Path, content: str) -> None:
    (folder / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError):
        load_model(folder)
