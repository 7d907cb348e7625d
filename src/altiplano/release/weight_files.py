"""The released weights: the trained files, or the same parameters rounded to another element type, and the proof."""

import filecmp
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from altiplano.errors import InputError
from altiplano.model.safetensors_files import INDEX, save_tensors
from altiplano.model.weights import load_model
from altiplano.records import Export
from altiplano.storage import digest, listed, read_json, write_json
from altiplano.tokens.shards import read_shards

AS_TRAINED = "as-trained"
DTYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""safetensors' names of element types → torch's."""
LOGIT_CHECK_BYTES = 16 * 10**9
"""Above this many bytes of weights two models would not fit in memory: what needs both at once is left out."""
COMPARED_TOKENS, LEAST_TOKENS, COMPARED_FLOP = 8192, 512, 2e13
"""Held-out tokens on which both are compared, fewer of large models: 2 operations per parameter and token, twice."""


def copy_weights(weights: Path, folder: Path, dtype: str = AS_TRAINED) -> list[str]:
    """Copy the safetensors files and their index, rounded to ``dtype`` where they are of another; return the names.

    Rounding is torch's: to nearest, ties to even. Drops shards that an earlier, interrupted export left.
    """
    names = [path.name for path in listed(weights, "*.safetensors*")]
    if not names:
        raise InputError(f"{weights} has no *.safetensors; train again")
    for stale in listed(folder, "*.safetensors*"):
        stale.unlink()
    if dtype in (AS_TRAINED, weight_dtype(weights)):
        for name in names:
            shutil.copyfile(weights / name, folder / name)
        return names
    total = 0
    for name in (name for name in names if name.endswith(".safetensors")):
        values = dict(_rounded(weights / name, dtype))
        total += sum(value.nbytes for value in values.values())
        save_tensors(values, folder / name)
    if INDEX in names:
        index = read_json(weights / INDEX)
        write_json(folder / INDEX, index | {"metadata": index.get("metadata", {}) | {"total_size": total}}, indent=2)
    return names


def weight_dtype(folder: Path) -> str:
    """The element type of the weights, as torch names it. Raises InputError when it is mixed."""
    found = set()
    for file in listed(folder, "*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            found |= {opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
    if len(found) != 1 or not found <= DTYPES.keys():
        kinds = ", ".join(sorted(found))
        raise InputError(f"{folder} has weights of types {kinds}; they must be of one of {', '.join(DTYPES)}")
    return DTYPES[found.pop()]


def verify_copy(weights: Path, folder: Path) -> None:
    """Raise InputError unless the folder's weights are the trained ones, bit for bit, rounded to the folder's type.

    Where nothing was rounded the logits of both models are compared, too, bit for bit.
    """
    names = [path.name for path in listed(weights, "*.safetensors")]
    dtype = weight_dtype(folder)
    if dtype == weight_dtype(weights):
        names = [path.name for path in listed(weights, "*.safetensors*")]
        differing = [name for name in names if not filecmp.cmp(weights / name, folder / name, shallow=False)]
    else:
        differing = [name for name in names if not _is_rounding_of(weights / name, folder / name, dtype)]
    if differing:
        raise InputError(f"{folder / differing[0]} is not what was trained; is the disk full or damaged? Release again")
    if dtype != weight_dtype(weights) or _bytes(weights) > LOGIT_CHECK_BYTES:
        return
    trained, exported = load_model(weights), load_model(folder)
    tokens = torch.arange(32).remainder(trained.shape.vocab_size)[None]
    with torch.inference_mode():
        if not torch.equal(trained(tokens), exported(tokens)):
            raise InputError(f"the model in {folder} does not give the logits of the trained one; release again")


def describe_export(weights: Path, folder: Path, tokenize: Path) -> Export:
    """What rounding did: digests of both, and losses and logits of both on held-out text (``tokenize``'s shards)."""
    before, after = weight_dtype(weights), weight_dtype(folder)
    files = {
        "trained": {path.name: digest(path) for path in listed(weights, "*.safetensors")},
        "released": {path.name: digest(path) for path in listed(folder, "*.safetensors")},
    }
    measured = {}
    if before != after and _bytes(weights) <= LOGIT_CHECK_BYTES:
        measured = _compare(weights, folder, tokenize)
    return Export(trained_dtype=before, dtype=after, **files, **measured)


@torch.inference_mode()
def _compare(weights: Path, folder: Path, tokenize: Path) -> dict[str, float]:
    """Both models in float32 on the same beginnings of held-out documents, so that only the weights differ."""
    trained, released = load_model(weights), load_model(folder)
    context = int(read_json(folder / "config.json")["max_position_embeddings"])
    tokens, losses, largest = 0, [0.0, 0.0], 0.0
    parameters = sum(value.numel() for value in trained.parameters())
    wanted = min(COMPARED_TOKENS, max(LEAST_TOKENS, int(COMPARED_FLOP / (4 * parameters))))
    for document in _heldout(tokenize, context, wanted):
        logits = [model(document[None, :-1])[0] for model in (trained, released)]
        for place, one in enumerate(logits):
            losses[place] += float(torch.nn.functional.cross_entropy(one.double(), document[1:], reduction="sum"))
        largest = max(largest, float((logits[0] - logits[1]).abs().max()))
        tokens += len(document) - 1
    if not tokens:
        return {}
    return {
        "tokens": tokens,
        "trained_loss": losses[0] / tokens,
        "released_loss": losses[1] / tokens,
        "largest_logit_difference": largest,
    }


def _heldout(tokenize: Path, context: int, wanted: int) -> Iterator[Tensor]:
    """Beginnings of held-out documents, taking turns between the shards, until there are enough tokens."""
    shards, left = read_shards(tokenize, "heldout"), wanted
    for number in range(max((len(shard) for shard in shards), default=0)):
        for shard in (shard for shard in shards if number < len(shard)):
            if left <= 0:
                return
            document = torch.tensor(shard.document(number)[: context + 1].tolist())
            if len(document) > 1:
                left -= len(document) - 1
                yield document


def _rounded(file: Path, dtype: str) -> Iterator[tuple[str, Tensor]]:
    with safe_open(file, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118
            yield name, opened.get_tensor(name).to(getattr(torch, dtype))


def _is_rounding_of(trained: Path, released: Path, dtype: str) -> bool:
    """Whether each parameter is the trained one, rounded, bit for bit; one parameter in memory at a time."""
    if not released.exists():
        return False
    with safe_open(released, framework="pt") as opened:
        names = set(opened.keys())
        for name, value in _rounded(trained, dtype):
            if name not in names:
                return False
            there = opened.get_tensor(name)
            if there.shape != value.shape or not torch.equal(there.view(torch.uint8), value.view(torch.uint8)):
                return False
            names.remove(name)
    return not names


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in listed(folder, "*.safetensors"))
