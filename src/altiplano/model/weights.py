"""Hugging Face folders: weights as safetensors, ``config.json`` that transformers 4.57 and 5.x read alike."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from altiplano.errors import InputError
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import INDEX, ONE_FILE
from altiplano.recipe.phases import RopeScaling
from altiplano.recipe.schema import ModelConfig, Recipe
from altiplano.storage import json_digest, listed, read_json

SAMPLED_BYTES = 1 << 20
FLOATS = ("F64", "F32", "F16", "BF16")

LAYER = re.compile(r"layers\.(\d{1,9})\.")
COMPUTED = "rotary_emb.inv_freq"
"""Old transformers saved it in every layer; it follows from the configuration, and everyone ignores it."""


def hugging_face_config(shape: ModelConfig, context: int, bos: int, eos: int, dtype: str = "float32") -> dict[str, Any]:
    """``config.json``. Both spellings of the rotary settings: transformers 4 reads one, 5 the other."""
    rope: dict[str, Any] = {"rope_type": "default"}
    scaling: dict[str, Any] | None = None
    if shape.rope_scaling is not None:
        scaling = {
            "rope_type": "llama3",
            "factor": shape.rope_scaling.factor,
            "low_freq_factor": shape.rope_scaling.low_freq_factor,
            "high_freq_factor": shape.rope_scaling.high_freq_factor,
            "original_max_position_embeddings": shape.rope_scaling.original_max_position_embeddings,
        }
        rope = dict(scaling)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": shape.initializer_range,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": context,
        "mlp_bias": False,
        "num_attention_heads": shape.num_attention_heads,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_key_value_heads": shape.num_key_value_heads,
        "pretraining_tp": 1,
        "rms_norm_eps": shape.rms_norm_eps,
        "rope_theta": shape.rope_theta,
        "rope_scaling": scaling,
        "rope_parameters": {**rope, "rope_theta": shape.rope_theta},
        "tie_word_embeddings": shape.tie_word_embeddings,
        "torch_dtype": dtype,
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }


def shape_from_config(config: dict[str, Any]) -> ModelConfig:
    """The inverse of ``hugging_face_config``, for any Llama folder. Raises InputError for other architectures."""
    if config.get("model_type") != "llama":
        raise InputError(f"model_type = {config.get('model_type')!r} in config.json: only llama models can be loaded")
    activation = config.get("hidden_act", "silu")
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    unlike = {
        f"hidden_act = {activation!r}": activation not in ("silu", "swish"),
        f"head_dim = {config.get('head_dim')}": (config.get("head_dim") or head_dim) != head_dim,
        "attention_bias = true": config.get("attention_bias"),
        "mlp_bias = true": config.get("mlp_bias"),
        "quantization_config": config.get("quantization_config"),
    }
    for what, is_unlike in unlike.items():
        if is_unlike:
            raise InputError(f"{what} in config.json: only Llama's own architecture, not quantised, can be loaded")
    rope = config.get("rope_parameters") or {}
    scaling = config.get("rope_scaling") or rope
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind not in ("default", "llama3"):
        raise InputError(f"rope_type = {kind!r} in config.json: only llama3 scaling can be loaded")
    return ModelConfig(
        num_hidden_layers=config["num_hidden_layers"],
        hidden_size=config["hidden_size"],
        num_attention_heads=config["num_attention_heads"],
        num_key_value_heads=config.get("num_key_value_heads", config["num_attention_heads"]),
        intermediate_size=config["intermediate_size"],
        vocab_size=config["vocab_size"],
        rope_theta=config.get("rope_theta") or rope.get("rope_theta", 10_000.0),
        rope_scaling=None
        if kind == "default"
        else RopeScaling(
            factor=scaling["factor"],
            low_freq_factor=scaling["low_freq_factor"],
            high_freq_factor=scaling["high_freq_factor"],
            original_max_position_embeddings=scaling["original_max_position_embeddings"],
        ),
        rms_norm_eps=config["rms_norm_eps"],
        tie_word_embeddings=config.get("tie_word_embeddings", False),
        initializer_range=config.get("initializer_range", 0.02),
    )


def _files_to_read(folder: Path) -> list[Path]:
    """The files that the index names, or all there are when there is no index."""
    index = folder / INDEX
    if not index.exists():
        # Meta's own files lie beside it in some folders
        found = [folder / ONE_FILE] if (folder / ONE_FILE).exists() else listed(folder, "*.safetensors")
        if pipes := [file for file in found if not file.is_file()]:
            raise InputError(f"{pipes[0]} is no file; restore it or release the model again")
        if not found:
            raise InputError(f"{folder} has no *.safetensors files; other kinds of weights are not read")
        return found
    try:
        names = sorted(set(read_json(index)["weight_map"].values()), key=str)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{index} is damaged; restore the file or release the model again") from error
    for name in names:
        if not isinstance(name, str) or name != Path(name).name:
            raise InputError(f"{index} names {name!r}, which is no file beside it: do not trust this folder")
        if not (folder / name).is_file():  # a pipe or a device would be waited for
            raise InputError(f"{folder / name} is missing, one of {len(names)} that {INDEX} names; restore the file")
    return [folder / name for name in names]


def read_shape(folder: Path) -> ModelConfig:
    """The shape of the model in a Hugging Face Llama folder. Raises InputError when it has none."""
    config_file = folder / "config.json"
    if not config_file.exists():
        raise InputError(f"{folder} is not a model folder: config.json is missing")
    try:
        return shape_from_config(read_json(config_file))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:  # not JSON (Damaged), a key missing, a shape that cannot be
        problem = " ".join(str(error).split())[:200]
        raise InputError(f"{config_file} does not describe a Llama model: {problem}") from error


class WeightFiles:
    """The parameters of a Hugging Face Llama folder, by their names in ``Llama``: read when they are asked for."""

    def __init__(self, folder: Path):
        """Raises InputError when files are missing or damaged."""
        self.folder, self.shape = folder, read_shape(folder)
        self.sizes: dict[str, tuple[int, ...]] = {}
        self._stored: dict[str, tuple[Any, str]] = {}
        for file in _files_to_read(folder):
            try:
                opened = safe_open(file, framework="pt")
                for stored in opened.keys():  # noqa: SIM118
                    if not stored.endswith(COMPUTED):
                        name, values = stored.removeprefix("model."), opened.get_slice(stored)
                        if values.get_dtype() not in FLOATS:
                            raise InputError(
                                f"{stored} in {file} is of {values.get_dtype()}: quantised weights are not read"
                            )
                        self._stored[name] = opened, stored
                        self.sizes[name] = tuple(values.get_shape())
            except (SafetensorError, OSError) as error:
                raise InputError(f"{file} is damaged ({error}); restore the file or release the model again") from error
        layers = {int(found[1]) for name in self.sizes if (found := LAYER.match(name))}
        if (there := max(layers, default=-1) + 1) != self.shape.num_hidden_layers:
            # before a model of so many is made, of which a million would take hours
            raise InputError(
                f"the weights in {folder} do not fit its config.json: {there:,} layers, not "
                f"{self.shape.num_hidden_layers:,}"
            )
        if self.shape.tie_word_embeddings and "embed_tokens.weight" in self._stored:
            self._stored.setdefault("lm_head.weight", self._stored["embed_tokens.weight"])
            self.sizes.setdefault("lm_head.weight", self.sizes["embed_tokens.weight"])

    def read(self, name: str, part: tuple[slice, ...] = ()) -> Tensor:
        """A parameter in its own element type, or a part of it, of which no more is read."""
        opened, stored = self._stored[name]
        return cast(Tensor, opened.get_slice(stored)[part] if part else opened.get_tensor(stored))


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> Llama:
    """A model in evaluation mode from a Hugging Face Llama folder, read tensor by tensor.

    Raises InputError when files are missing, damaged or of another shape.
    """
    weights = WeightFiles(folder)
    try:
        state = {name: weights.read(name).to(dtype) for name in weights.sizes}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{folder} is damaged ({error}); restore the file or release the model again") from error
    return assemble(weights.shape, state, f"the weights in {folder}")


def assemble(shape: ModelConfig, state: dict[str, Tensor], what: str) -> Llama:
    """A model in evaluation mode of parameters by their names in ``Llama``. Raises InputError when they do not fit."""
    with torch.device("meta"):
        model = Llama(shape)
    if shape.tie_word_embeddings and "embed_tokens.weight" in state:
        state = {**state, "lm_head.weight": state["embed_tokens.weight"]}
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
        raise InputError(f"{what} do not fit its config.json: {problem}") from error
    return model.eval()


def pretrained_weights(recipe: Recipe) -> WeightFiles | None:
    """The folder that training begins with. Raises InputError, naming each key, when it has another shape than the
    recipe's model."""
    if recipe.pretrained is None:
        return None
    weights = WeightFiles(recipe.pretrained)
    there, here = weights.shape.model_dump(), recipe.model.model_dump()
    # how weights begin does not matter for those that have begun
    differing = [key for key in here if here[key] != there[key] and key != "initializer_range"]
    if differing:
        changes = " ".join(f"--set model.{key}={there[key]}" for key in differing)
        raise InputError(f"pretrained: {recipe.pretrained} has another shape than the recipe: {changes}")
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in Llama(recipe.model).named_parameters()}
    wrong = [name for name in wanted if weights.sizes.get(name) != wanted[name]]
    if wrong:
        raise InputError(f"pretrained: {recipe.pretrained} has no {wrong[0]} of shape {wanted[wrong[0]]}")
    if more := sorted(weights.sizes.keys() - wanted.keys() - {"lm_head.weight"}):
        raise InputError(f"pretrained: {recipe.pretrained} has {more[0]}, which the recipe's model does not have")
    return weights


def weights_fingerprint(folder: Path) -> str:
    """A hash of the folder's configuration and of its files' names, sizes, beginnings and ends: enough to tell models
    apart, and quick for large ones. Raises InputError when files are missing."""
    shape = json_digest(read_shape(folder).model_dump(mode="json"))
    return sampled_hash(_files_to_read(folder), shape)


def sampled_hash(files: Sequence[Path], also: str = "") -> str:
    """sha256 of ``also`` and of the files' names, sizes, beginnings and ends."""
    found = hashlib.sha256(also.encode())
    for file in files:
        size = file.stat().st_size
        found.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as opened:
            found.update(opened.read(SAMPLED_BYTES))
            opened.seek(max(0, size - SAMPLED_BYTES))
            found.update(opened.read(SAMPLED_BYTES))
    return found.hexdigest()
