"""The model against transformers' LlamaForCausalLM on the same random weights."""

import json
from pathlib import Path

import pytest
import torch

from altiplano.errors import InputError
from altiplano.model.attention import Cache
from altiplano.model.initial_weights import initial_value
from altiplano.model.llama import Llama, rotate
from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config, load_model, shape_from_config
from altiplano.planning.model_size import parameters
from altiplano.recipe.load import load_recipe
from altiplano.recipe.phases import RopeScaling
from altiplano.recipe.schema import ModelConfig


def shape(tied: bool = False, scaling: bool = True) -> ModelConfig:
    return ModelConfig(
        num_hidden_layers=3,
        hidden_size=64,
        num_attention_heads=8,
        num_key_value_heads=2,
        intermediate_size=160,
        vocab_size=600,
        rope_scaling=RopeScaling(original_max_position_embeddings=64) if scaling else None,
        tie_word_embeddings=tied,
    )


def random_model(model_shape: ModelConfig) -> Llama:
    model = Llama(model_shape)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Larger than at the start of training, so that attention is far from uniform.
            scale = 1.0 if name.endswith("norm.weight") else 8.0
            parameter.copy_(scale * initial_value(name, parameter.shape, model_shape, seed=0))
    return model


def write_folder(model: Llama, folder: Path, **options: int) -> None:
    save_weights(model.named_parameters(), folder, **options)
    (folder / "config.json").write_text(json.dumps(hugging_face_config(model.shape, 256, bos=1, eos=2)))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("scaling", [False, True])
def test_logits_and_gradients_equal_transformers(tmp_path: Path, tied: bool, scaling: bool) -> None:
    transformers = pytest.importorskip("transformers")
    ours = random_model(shape(tied, scaling))
    write_folder(ours, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    tokens = torch.randint(0, 600, (3, 129), generator=torch.Generator().manual_seed(0))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    logits, expected = ours(inputs), theirs(inputs).logits
    assert (logits - expected).abs().max() < 1e-5 * expected.abs().max()
    for result in (logits, expected):
        torch.nn.functional.cross_entropy(result.flatten(0, 1), targets.flatten()).backward()
    gradients = {name.removeprefix("model."): parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        reference = gradients[name]
        assert (parameter.grad - reference).norm() < 1e-5 * reference.norm(), name


@pytest.mark.parametrize("start", [0, 131_072 - 256])
def test_rotations_in_bfloat16_are_rounded_once(start: int) -> None:
    """As Llama's own code does, which rotates in float32; angles are exact at far positions, too."""
    model = Llama(shape())
    x = torch.randn(1, 256, 2, model.shape.head_dim, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = rotate(x.double(), model.rotary(start, 256, x.device, torch.float64))
    ours = rotate(x, model.rotary(start, 256, x.device, torch.bfloat16))
    assert ours.dtype == torch.bfloat16
    assert (ours - exact).norm() < 1.001 * (exact.bfloat16() - exact).norm()
    pairs = torch.stack(x.double().chunk(2, dim=-1))
    assert torch.allclose(torch.stack(exact.chunk(2, dim=-1)).norm(dim=0), pairs.norm(dim=0))


def test_documents_do_not_see_each_other() -> None:
    model = random_model(shape()).double()
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 600, (3, 96), generator=generator)
    document = (torch.rand(3, 96, generator=generator) < 0.06).long().cumsum(1)
    document[2] = 0  # one row is a single document
    together = model(tokens, document)
    for row in range(3):
        for number in document[row].unique():
            here = document[row] == number
            alone = model(tokens[row][here][None])
            assert (alone[0] - together[row][here]).abs().max() < 1e-9


def test_short_rows_in_bfloat16_attend_alike() -> None:
    """The path for short bfloat16 rows against float64, to bfloat16's rounding."""
    from altiplano.model.attention import causal_attention, document_packing

    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, 60, heads, 16, generator=generator).bfloat16() for heads in (8, 2, 2))
    document = (torch.rand(2, 60, generator=generator) < 0.1).long().cumsum(1)
    short = causal_attention(q, k, v, document_packing(document, torch.bfloat16))
    exact = causal_attention(q.double(), k.double(), v.double(), document_packing(document, torch.float64))
    assert short.dtype == torch.bfloat16
    assert (short - exact).abs().max() < 0.03


def test_cached_and_padded_generation_equals_one_pass() -> None:
    model = random_model(shape()).double()
    tokens = torch.randint(0, 600, (2, 40), generator=torch.Generator().manual_seed(2))
    document = torch.ones_like(tokens)
    document[1, :15] = 0  # the second row's prompt is shorter: padded on the left
    cache = Cache()
    with torch.inference_mode():
        parts = [model(tokens[:, :25], document[:, :25], cache)]
        parts += [model(tokens[:, i : i + 1], document[:, i : i + 1], cache) for i in range(25, 40)]
        cached = torch.cat(parts, dim=1)
        assert (cached[0] - model(tokens[:1])[0]).abs().max() < 1e-9
        assert (cached[1, 15:] - model(tokens[1:, 15:])[0]).abs().max() < 1e-9


@pytest.mark.parametrize("name", ["llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"])
def test_parameter_counts_are_those_of_the_real_model(name: str) -> None:
    model_shape = load_recipe(name).model
    with torch.device("meta"):
        model = Llama(model_shape)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters(model_shape)


def test_weights_survive_shards_and_configs(tmp_path: Path) -> None:
    model = random_model(shape())
    write_folder(model, tmp_path, shard_bytes=50_000)
    assert len(list(tmp_path.glob("*.safetensors"))) > 3
    loaded = load_model(tmp_path)
    assert loaded.shape == model.shape
    for (name, saved), (_, read) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        assert torch.equal(saved, read), name


def test_both_spellings_of_the_rotary_settings_are_read() -> None:
    config = hugging_face_config(shape(), 256, bos=1, eos=2)
    old = {k: v for k, v in config.items() if k != "rope_parameters"}
    new = {k: v for k, v in config.items() if k not in ("rope_theta", "rope_scaling")}
    assert shape_from_config(old) == shape_from_config(new) == shape()


def test_folders_that_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json is missing"):
        load_model(tmp_path)
    write_folder(random_model(shape()), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(InputError, match=r"do not fit its config\.json"):
        load_model(tmp_path)
    for broken in ("{", json.dumps({"model_type": "llama"}), json.dumps(config | {"num_attention_heads": 7})):
        (tmp_path / "config.json").write_text(broken)
        with pytest.raises(InputError, match=r"does not describe a Llama model|head_dim = 8 in config\.json"):
            load_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(InputError, match="only llama models"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="is damaged"):
        load_model(tmp_path)


def test_initial_weights_depend_on_name_and_seed_alone() -> None:
    value = initial_value("layers.0.mlp.up_proj.weight", torch.Size([64, 32]), shape(), seed=3)
    assert torch.equal(value, initial_value("layers.0.mlp.up_proj.weight", torch.Size([64, 32]), shape(), seed=3))
    assert not torch.equal(value, initial_value("layers.1.mlp.up_proj.weight", torch.Size([64, 32]), shape(), seed=3))
    assert not torch.equal(value, initial_value("layers.0.mlp.up_proj.weight", torch.Size([64, 32]), shape(), seed=4))
    assert abs(value.std().item() - 0.02) < 0.002
