"""The Hugging Face folder: weights, configuration, tokenizer and temperature, as transformers and vLLM read them.

The folder shares no file with the run, so that nothing done to it can damage the trained weights.
"""

import shutil
from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.model.weights import hugging_face_config, shape_from_config
from altiplano.release.weight_files import AS_TRAINED, copy_weights, verify_copy, weight_dtype
from altiplano.storage import read_if_there, read_object, write_json, write_text
from altiplano.tokens.tokenizer import Tokenizer

PAD = "<|finetune_right_pad_id|>"


def export(weights: Path, tokenizer: Path, calibration: Path, folder: Path, dtype: str = AS_TRAINED) -> list[str]:
    """Write the model folder; return its file names, sorted.

    ``weights`` is the train stage's folder (safetensors + config.json), ``tokenizer`` the folder of tokenizer.json,
    ``calibration`` the file with the fitted temperature, ``dtype`` the element type of the released weights. Raises
    InputError when they do not fit together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trained = read_if_there(weights / "config.json", read_object, "train again")
    if trained is None:
        raise InputError(f"{weights} has no config.json; train again")
    shape, context = shape_from_config(trained), int(trained["max_position_embeddings"])
    spoken = Tokenizer.load(tokenizer)
    if spoken.vocab_size > shape.vocab_size:  # a pretrained model may have rows to spare
        raise InputError(
            f"the tokenizer has {spoken.vocab_size:,} tokens, the model {shape.vocab_size:,}; tokenize and train again"
        )
    fitted = read_if_there(calibration, read_object, "calibrate again")
    if fitted is None or not fitted.get("temperature", 0) > 0:
        raise InputError(f"{calibration} has no temperature above 0; calibrate again")

    copied = copy_weights(weights, folder, dtype)
    _write(folder / "config.json", hugging_face_config(shape, context, spoken.bos, spoken.eos, weight_dtype(folder)))
    write_tokenizer(spoken, context, folder)
    _write(folder / "generation_config.json", generation_config(spoken, float(fitted["temperature"])))
    shutil.copyfile(calibration, folder / "calibration.json")
    verify_copy(weights, folder)
    written = ["config.json", "generation_config.json", "calibration.json"]
    written += ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    for name in [*copied, *written]:
        (folder / name).chmod(0o644)
    return sorted([*copied, *written])


def write_tokenizer(tokenizer: Tokenizer, context: int, folder: Path) -> None:
    """tokenizer.json that adds the begin token exactly once, and the two files that name its special tokens."""
    from tokenizers import Tokenizer as HuggingFaceTokenizer
    from tokenizers.processors import ByteLevel, Sequence, TemplateProcessing

    # A copy: the caller's tokenizer adds nothing by itself.
    spoken = HuggingFaceTokenizer.from_str(tokenizer.hugging_face.to_str())
    if tokenizer.bos not in spoken.encode("a").ids:
        bos = tokenizer.name_of(tokenizer.bos)
        begin = TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B:1", special_tokens=[(bos, tokenizer.bos)]
        )
        spoken.post_processor = Sequence([ByteLevel(trim_offsets=False), begin]) if tokenizer.is_llama3 else begin
    write_text(folder / "tokenizer.json", spoken.to_str(pretty=True))
    names = {"bos": tokenizer.bos, "eos": tokenizer.eos, "pad": pad_token(tokenizer)}
    specials = {f"{role}_token": tokenizer.name_of(token) for role, token in names.items()}
    _write(folder / "special_tokens_map.json", specials)
    _write(
        folder / "tokenizer_config.json",
        specials
        | {
            # transformers 4 does not know the TokenizersBackend that transformers 5 writes; both know this class.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": context,
            "clean_up_tokenization_spaces": False,
            "padding_side": "left",
        },
    )


def pad_token(tokenizer: Tokenizer) -> int:
    """Llama 3's own; of other tokenizers the end token, as is usual."""
    own = tokenizer.hugging_face.token_to_id(PAD)
    return tokenizer.eos if own is None else int(own)


def generation_config(tokenizer: Tokenizer, temperature: float) -> dict[str, Any]:
    """Sampling at the calibrated temperature. transformers and vLLM read this file by default."""
    return {
        "bos_token_id": tokenizer.bos,
        "eos_token_id": tokenizer.eos,
        "pad_token_id": pad_token(tokenizer),
        "do_sample": True,
        "temperature": temperature,
        "top_p": 1.0,
        "top_k": 0,
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    write_json(path, content, indent=2, ensure_ascii=False)
