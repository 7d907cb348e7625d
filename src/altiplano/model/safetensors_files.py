"""Writing safetensors: which file holds which parameters, one tensor in memory at a time, hashed on its way.

A file is a header's length (8 bytes, little-endian), a header in JSON, and the tensors' bytes one after the other
(https://huggingface.co/docs/safetensors). The bytes are those that safetensors' own ``save_file`` would write, which
needs all tensors of a file at once and tells no hash.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from altiplano.storage import publish, write_json

SHARD_BYTES = 5 * 10**9
ONE_FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}

# Size and element type of parameters by their names in ``Llama``, and a function from a name to its value.
LlamaShape = Mapping[str, tuple[Sequence[int], torch.dtype]]
Load = Callable[[str], Tensor]


def hugging_face_name(name: str) -> str:
    return name if name.startswith("lm_head.") else f"model.{name}"


def nbytes(size: Sequence[int], dtype: torch.dtype) -> int:
    return math.prod(size) * dtype.itemsize


def weight_files(sizes: LlamaShape, shard_bytes: int = SHARD_BYTES) -> dict[str, list[str]]:
    """Which file holds which parameters: in the order of their names, files of at most ``shard_bytes``.

    A parameter that is larger has a file of its own.
    """
    shards: list[list[str]] = [[]]
    size = 0
    for name in sorted(sizes):
        more = nbytes(*sizes[name])
        if shards[-1] and size + more > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += more
    if len(shards) == 1:
        return {ONE_FILE: shards[0]}
    return {f"model-{i:05d}-of-{len(shards):05d}.safetensors": shard for i, shard in enumerate(shards, start=1)}


def save_tensors(values: dict[str, Tensor], file: Path) -> None:
    """safetensors' own writer. Raises OSError when the file cannot be written."""
    try:
        save_file(values, file, metadata={"format": "pt"})
    except SafetensorError as error:
        if (found := re.search(r"os error (\d+)", str(error))) is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(file)) from error


def write_file(file: Path, sizes: LlamaShape, load: Load) -> str:
    """Publish the parameters ``sizes`` under Hugging Face's names; the file's sha256.

    ``load`` is asked for one value at a time, which is written and forgotten. Raises ValueError when a value is not of
    the size and type announced.
    """
    names = sorted(sizes, key=lambda name: (-sizes[name][1].itemsize, hugging_face_name(name)))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        start, (size, dtype) = end, sizes[name]
        end += nbytes(size, dtype)
        header[hugging_face_name(name)] = {"dtype": DTYPES[dtype], "shape": [*size], "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    found = hashlib.sha256()

    def write(temporary: Path) -> None:
        with temporary.open("wb") as opened:
            for part in (len(text).to_bytes(8, "little"), text):
                opened.write(part)
                found.update(part)
            for name in names:
                value = load(name)
                if (tuple(value.shape), value.dtype) != (tuple(sizes[name][0]), sizes[name][1]):
                    raise ValueError(f"{name} is {value.dtype} {tuple(value.shape)}, not {sizes[name]}")
                raw = value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
                opened.write(raw)
                found.update(raw)
        temporary.chmod(0o644)

    publish(file, write)
    return found.hexdigest()


def write_index(sizes: LlamaShape, files: Mapping[str, Sequence[str]], folder: Path) -> list[str]:
    """The names of all files of weights, after writing the index that they need where they are several."""
    if len(files) == 1:
        return [*files]
    total = sum(nbytes(*size) for size in sizes.values())
    index = {hugging_face_name(name): file for file, names in files.items() for name in names}
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": index}, indent=2)
    return [*files, INDEX]


def stream_weights(sizes: LlamaShape, load: Load, folder: Path, shard_bytes: int = SHARD_BYTES) -> list[str]:
    """Write parameters under Hugging Face's names, one file after the other, the index last; return the file names.

    The bytes written depend on the names and values alone. Raises as ``write_file``.
    """
    files = weight_files(sizes, shard_bytes)
    for file, names in files.items():
        write_file(folder / file, {name: sizes[name] for name in names}, load)
    return write_index(sizes, files, folder)


def save_weights(named: Iterable[tuple[str, Tensor]], folder: Path, shard_bytes: int = SHARD_BYTES) -> list[str]:
    """``stream_weights`` of parameters that are in memory already."""
    values = dict(named)
    sizes = {name: (value.shape, value.dtype) for name, value in values.items()}
    return stream_weights(sizes, values.__getitem__, folder, shard_bytes)
