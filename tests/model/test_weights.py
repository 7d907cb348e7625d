"""Hugging Face folders of the real models, without their weights: names, counts, files; and writing shard by shard."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from altiplano.errors import InputError
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import (
    INDEX,
    SHARD_BYTES,
    hugging_face_name,
    nbytes,
    save_weights,
    stream_weights,
    weight_files,
    write_file,
)
from altiplano.model.weights import hugging_face_config, load_model, shape_from_config
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import ModelConfig
from altiplano.storage import digest

COUNTS = {"llama-3.1-8b": 8_030_261_248, "llama-3.1-70b": 70_553_706_496, "llama-3.1-405b": 405_853_388_800}
TINY = ModelConfig(
    num_hidden_layers=2,
    hidden_size=32,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=48,
    vocab_size=520,
)


def sizes(shape: ModelConfig, dtype: torch.dtype = torch.bfloat16) -> dict[str, tuple[torch.Size, torch.dtype]]:
    with torch.device("meta"):
        return {name: (value.shape, dtype) for name, value in Llama(shape).named_parameters()}


@pytest.mark.parametrize("name", COUNTS)
def test_transformers_reads_our_config_and_expects_our_parameters(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    shape = load_recipe(name).model
    config = hugging_face_config(shape, 131_072, bos=128_000, eos=128_001, dtype="bfloat16")
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = transformers.AutoConfig.from_pretrained(tmp_path)
    with torch.device("meta"):
        theirs = transformers.LlamaForCausalLM(read)
    expected = {name: tuple(value.shape) for name, value in theirs.named_parameters()}
    ours = sizes(shape)
    assert {hugging_face_name(name): tuple(size) for name, (size, _) in ours.items()} == expected
    assert sum(value.numel() for value in theirs.parameters()) == COUNTS[name]
    assert shape_from_config(json.loads((tmp_path / "config.json").read_text())) == shape
    # What transformers itself writes is read back as the same shape, too.
    read.save_pretrained(tmp_path / "theirs")
    assert shape_from_config(json.loads((tmp_path / "theirs" / "config.json").read_text())) == shape


@pytest.mark.parametrize("name", COUNTS)
def test_files_of_real_models_hold_every_parameter_once(name: str) -> None:
    ours = sizes(load_recipe(name).model)
    files = weight_files(ours)
    held = [parameter for names in files.values() for parameter in names]
    assert held == sorted(ours)
    assert all(sum(nbytes(*ours[parameter]) for parameter in names) <= SHARD_BYTES for names in files.values())
    assert sum(nbytes(*size) for size in ours.values()) == 2 * COUNTS[name]
    assert [*files] == [f"model-{i:05d}-of-{len(files):05d}.safetensors" for i in range(1, len(files) + 1)]


def test_parameters_are_loaded_one_at_a_time_and_transformers_reads_them(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = Llama(TINY)
    values = dict(model.named_parameters())
    asked: list[str] = []

    def load(name: str) -> Tensor:
        asked.append(name)
        return values[name]

    streamed, whole = tmp_path / "streamed", tmp_path / "whole"
    streamed.mkdir()
    whole.mkdir()
    written = stream_weights(sizes(TINY, torch.float32), load, streamed, shard_bytes=40_000)
    assert asked == sorted(values)
    assert len(written) > 4
    # The bytes depend on names and values alone.
    assert save_weights(reversed([*values.items()]), whole, shard_bytes=40_000) == written
    for file in written:
        assert (streamed / file).read_bytes() == (whole / file).read_bytes()
    index = json.loads((streamed / INDEX).read_text())
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in values.values())
    (streamed / "config.json").write_text(json.dumps(hugging_face_config(TINY, 64, bos=1, eos=2)))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(streamed)
    ours = load_model(streamed)
    for name, value in values.items():
        assert torch.equal(theirs.get_parameter(hugging_face_name(name)), value), name
        assert torch.equal(ours.get_parameter(name), value), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_file_has_the_bytes_of_safetensors_own_and_its_hash(dtype: torch.dtype, tmp_path: Path) -> None:
    values = {name: value.detach().to(dtype) for name, value in Llama(TINY).named_parameters()}
    ours = write_file(tmp_path / "ours", {n: (v.shape, dtype) for n, v in values.items()}, values.__getitem__)
    save_file({hugging_face_name(n): v for n, v in values.items()}, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert ours == digest(tmp_path / "theirs")


def test_a_value_of_another_size_or_type_is_refused(tmp_path: Path) -> None:
    for wrong in (torch.zeros(3), torch.zeros(2, dtype=torch.float64)):
        with pytest.raises(ValueError, match=r"norm\.weight is"):
            stream_weights({"norm.weight": ([2], torch.float32)}, lambda _, v=wrong: v, tmp_path)


def test_a_missing_shard_is_named_and_a_file_the_index_does_not_know_is_left_alone(tmp_path: Path) -> None:
    model = Llama(TINY)
    save_weights(model.named_parameters(), tmp_path, shard_bytes=40_000)
    (tmp_path / "config.json").write_text(json.dumps(hugging_face_config(TINY, 64, bos=1, eos=2)))
    (tmp_path / "consolidated.safetensors").write_text("another format")
    assert torch.equal(load_model(tmp_path).get_parameter("norm.weight"), model.get_parameter("norm.weight"))
    lost = next(tmp_path.glob("model-00002-of-*.safetensors"))
    lost.unlink()
    with pytest.raises(InputError, match=f"{lost.name} is missing"):
        load_model(tmp_path)
    (tmp_path / INDEX).write_text("{")
    with pytest.raises(InputError, match=r"index\.json is damaged"):
        load_model(tmp_path)
