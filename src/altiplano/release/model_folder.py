"""The Hugging Face folder: weights, configuration, tokenizer and temperature, as transformers and vLLM read them.

The folder shares no file with the run, so that nothing done to it can damage the trained weights.
"""

import filecmp
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from altiplano.errors import InputError
from altiplano.model.weights import hugging_face_config, load_model, shape_from_config
from altiplano.storage import try_read_json, write_json
from altiplano.tokens.tokenizer import Tokenizer

PAD = "<|finetune_right_pad_id|>"
# safetensors' names of element types → torch's
DTYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
# Above this many bytes of weights the check of the copy compares files only: two models would not fit in memory.
LOGIT_CHECK_BYTES = 16 * 10**9


def export(weights: Path, tokenizer: Path, calibration: Path, folder: Path) -> list[str]:
    """Write the model folder; return its file names, sorted.

    ``weights`` is the train stage's folder (safetensors + config.json), ``tokenizer`` the folder of tokenizer.json,
    ``calibration`` the file with the fitted temperature. Raises InputError when they do not fit together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trained = try_read_json(weights / "config.json")
    if trained is None:
        raise InputError(f"{weights} has no config.json; train again")
    shape, context = shape_from_config(trained), int(trained["max_position_embeddings"])
    spoken = Tokenizer.load(tokenizer)
    if spoken.vocab_size > shape.vocab_size:  # a pretrained model may have rows to spare
        raise InputError(
            f"the tokenizer has {spoken.vocab_size:,} tokens, the model {shape.vocab_size:,}; tokenize and train again"
        )
    fitted = try_read_json(calibration)
    if fitted is None or not fitted.get("temperature", 0) > 0:
        raise InputError(f"{calibration} has no temperature above 0; calibrate again")

    copied = copy_weights(weights, folder)
    dtype = weight_dtype(folder)
    _write(folder / "config.json", hugging_face_config(shape, context, spoken.bos, spoken.eos, dtype))
    write_tokenizer(spoken, context, folder)
    _write(folder / "generation_config.json", generation_config(spoken, float(fitted["temperature"])))
    shutil.copyfile(calibration, folder / "calibration.json")
    verify_copy(weights, folder)
    written = ["config.json", "generation_config.json", "calibration.json"]
    written += ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    for name in [*copied, *written]:
        (folder / name).chmod(0o644)
    return sorted([*copied, *written])


def copy_weights(weights: Path, folder: Path) -> list[str]:
    """Copy the safetensors files and their index; drop shards that an earlier, interrupted export left."""
    names = [path.name for path in sorted(weights.glob("*.safetensors*"))]
    if not names:
        raise InputError(f"{weights} has no *.safetensors; train again")
    for stale in folder.glob("*.safetensors*"):
        stale.unlink()
    for name in names:
        shutil.copyfile(weights / name, folder / name)
    return names


def weight_dtype(folder: Path) -> str:
    """The element type of the weights, as torch names it. Raises InputError when it is mixed."""
    found = set()
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            found |= {opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
    if len(found) != 1 or not found <= DTYPES.keys():
        kinds = ", ".join(sorted(found))
        raise InputError(f"{folder} has weights of types {kinds}; they must be of one of {', '.join(DTYPES)}")
    return DTYPES[found.pop()]


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
    spoken.save(str(folder / "tokenizer.json"))
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


def verify_copy(weights: Path, folder: Path) -> None:
    """Raise InputError unless the folder's model is the trained one, bit for bit: its files and its logits."""
    names = [path.name for path in sorted(weights.glob("*.safetensors*"))]
    differing = [name for name in names if not filecmp.cmp(weights / name, folder / name, shallow=False)]
    if differing:
        raise InputError(f"{folder / differing[0]} is not what was trained; is the disk full or damaged? Release again")
    if sum((folder / name).stat().st_size for name in names) > LOGIT_CHECK_BYTES:
        return
    trained, exported = load_model(weights), load_model(folder)
    tokens = torch.arange(32).remainder(trained.shape.vocab_size)[None]
    with torch.inference_mode():
        if not torch.equal(trained(tokens), exported(tokens)):
            raise InputError(f"the model in {folder} does not give the logits of the trained one; release again")


def _write(path: Path, content: dict[str, Any]) -> None:
    write_json(path, content, indent=2, ensure_ascii=False)
