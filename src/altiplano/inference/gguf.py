"""GGUF files (llama.cpp's), read by transformers: weights back in floating point, and the tokenizer they carry."""

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from altiplano.errors import InputError
from altiplano.model.llama import Llama
from altiplano.model.weights import assemble, shape_from_config
from altiplano.optional_imports import extra
from altiplano.tokens.tokenizer import Tokenizer

SUFFIX = ".gguf"


@dataclass(frozen=True)
class GGUF:
    model: Llama
    tokenizer: Tokenizer
    context: int
    adds_bos: bool


def read_gguf(file: Path, dtype: torch.dtype) -> GGUF:
    """Raises InputError when the file is damaged or holds no Llama model."""
    transformers = extra("transformers", "models", "GGUF files")
    extra("gguf", "models", "GGUF files")
    if not file.is_file():
        raise InputError(f"{file} is not a file")
    place = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name, "local_files_only": True}
    with _quiet(transformers):
        try:
            shape = shape_from_config(transformers.AutoConfig.from_pretrained(**place).to_dict())
            theirs = transformers.AutoModelForCausalLM.from_pretrained(**place, dtype=dtype, **_unpacked(transformers))
            spoken = transformers.AutoTokenizer.from_pretrained(**place)
        except InputError:
            raise
        except Exception as error:  # whatever a damaged file makes of its reader
            raise InputError(f"{file} cannot be read: {' '.join(str(error).split())[:200]}") from error
    state = {name.removeprefix("model."): value for name, value in theirs.state_dict().items()}
    begin, end = spoken.bos_token or spoken.eos_token, spoken.eos_token or spoken.bos_token
    if end is None:
        raise InputError(f"{file} names no token that ends a text, so nothing can be generated with it")
    tokenizer = Tokenizer(spoken.backend_tokenizer, begin, end)
    adds_bos = tokenizer.bos in spoken("a").input_ids
    return GGUF(
        assemble(shape, state, f"the weights in {file}"),
        tokenizer,
        int(theirs.config.max_position_embeddings),
        adds_bos,
    )


def _unpacked(transformers: Any) -> dict[str, Any]:
    """Newer releases keep the weights in the file's blocks unless told not to."""
    config = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


@contextmanager
def _quiet(transformers: Any) -> Any:
    """Its bars and warnings would stand between the lines of ours."""
    was = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("gguf").setLevel(logging.ERROR)
    try:
        yield
    finally:
        transformers.logging.set_verbosity(was)
