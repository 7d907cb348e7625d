"""Is a model folder sound? Every problem in one line that names the file and the fix."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import hugging_face_name
from altiplano.model.weights import COMPUTED, load_model, read_shape, shape_from_config
from altiplano.release.weight_files import LOGIT_CHECK_BYTES
from altiplano.storage import ABSENT, Damaged, digest, listed, read_object
from altiplano.tokens.tokenizer import BEGIN

Config = dict[str, Any]
# Measured between implementations in float32; ours and transformers sum in another order.
LOGIT_TOLERANCE = 1e-4


def check(folder: Path) -> list[str]:
    """Problems of a Hugging Face Llama folder; empty when it is sound.

    Raises InputError when ``folder`` is not a model folder at all.
    """
    read_shape(folder)
    config = read_object(folder / "config.json")
    generation, damaged = _read(folder, "generation_config.json")
    calibration, also_damaged = _read(folder, "calibration.json")
    problems = [
        *(damaged + also_damaged or temperature_problems(config, generation or {}, calibration)),
        *rope_problems(config),
        *tokenizer_problems(folder, config),
        *file_problems(folder),
        *weight_problems(folder, config),
    ]
    return problems or transformers_problems(folder)


def _read(folder: Path, name: str) -> tuple[Config | None, list[str]]:
    """The object in a JSON file, None without a sound one; and the problem of a damaged one."""
    try:
        return read_object(folder / name), []
    except ABSENT:
        return None, []
    except Damaged as error:
        return None, [f"{name} is damaged ({error}); restore the file or release again"]


def rope_problems(config: Config) -> Iterator[str]:
    """transformers 4 reads rope_theta and rope_scaling, 5 reads rope_parameters; each ignores the other silently."""
    rope = config.get("rope_parameters")
    if "rope_theta" not in config:
        yield "config.json: rope_theta is missing; transformers 4 would use 10,000. Copy it from rope_parameters"
    if not rope:
        yield "config.json: rope_parameters is missing; add it from rope_theta and rope_scaling for transformers 5"
        return
    if config.get("rope_theta", rope.get("rope_theta")) != rope.get("rope_theta"):
        yield f"config.json: rope_theta = {config['rope_theta']} but rope_parameters says {rope.get('rope_theta')}"
    modern = {key: value for key, value in rope.items() if key != "rope_theta"}
    classic = config.get("rope_scaling") or {"rope_type": "default"}
    if modern.get("rope_type", "default") != classic.get("rope_type", "default") or (
        modern.get("rope_type", "default") != "default" and modern != classic
    ):
        yield "config.json: rope_scaling and rope_parameters disagree; transformers 4 and 5 would compute other logits"


def temperature_problems(config: Config, generation: Config, calibration: Config | None) -> Iterator[str]:
    """The fitted temperature must reach generation once: not lost, not twice."""
    if "temperature" in config:
        yield "config.json: temperature belongs in generation_config.json only; here it would be applied twice"
    if calibration is None:
        return
    fitted, given = calibration.get("temperature"), generation.get("temperature", 1.0)
    if not isinstance(fitted, int | float):
        yield "calibration.json: temperature is missing; calibrate again"
    elif not isinstance(given, int | float):
        yield f"generation_config.json: temperature = {given!r} is no number"
    elif math.isclose(given, fitted**2, rel_tol=1e-6) and not math.isclose(fitted, 1, rel_tol=1e-6):
        yield f"generation_config.json: temperature = {given:.4f} is the fitted {fitted:.4f} applied twice"
    elif not math.isclose(given, fitted, rel_tol=1e-6):
        answers = (calibration.get("answer_temperature") or {}).get("value", math.nan)
        other = " but the answer temperature" if math.isclose(given, answers, rel_tol=1e-6) else ""
        yield f"generation_config.json: temperature = {given} is not the fitted {fitted} of calibration.json{other}"
    if generation and (generation.get("top_p", 1.0) != 1.0 or generation.get("top_k", 50) != 0):
        yield "generation_config.json: top_p must be 1.0 and top_k 0, or the calibrated probabilities are cut off"
    if not generation.get("do_sample", False):
        yield "generation_config.json: do_sample is not true, so the temperature is ignored"


def tokenizer_problems(folder: Path, config: Config) -> Iterator[str]:
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        yield f"tokenizer.json cannot be read ({error}); release again"
        return
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    if size > config["vocab_size"]:  # fewer: models have rows to spare
        yield f"tokenizer.json has {size:,} tokens, config.json says vocab_size = {config['vocab_size']:,}"
    settings, damaged = _read(folder, "tokenizer_config.json")
    yield from damaged
    if settings is None and not damaged:
        yield "tokenizer_config.json is missing; transformers cannot load the tokenizer"
    settings = settings or {}
    if settings.get("tokenizer_class") not in (None, "PreTrainedTokenizerFast"):
        yield (
            f"tokenizer_config.json: tokenizer_class = {settings['tokenizer_class']} does not load everywhere; "
            "PreTrainedTokenizerFast does"
        )
    for role in ("bos", "eos"):
        token = settings.get(f"{role}_token")
        name = token.get("content") if isinstance(token, dict) else token
        said = config.get(f"{role}_token_id")  # eos: a list where several end a text
        if name is not None and tokenizer.token_to_id(name) not in (said if isinstance(said, list) else [said]):
            yield (f"{role}: {name} is token {tokenizer.token_to_id(name)} of the tokenizer, config.json says {said}")
    begins = sum(token == config.get("bos_token_id") for token in tokenizer.encode("a").ids)
    if begins > 1:
        yield f"tokenizer.json adds the begin token {begins} times; its post-processor must add it once"
    # Llama 3's kind and ours always have it; other models are trained without
    if begins == 0 and (tokenizer.token_to_id(BEGIN) is not None or (folder / "manifest.json").exists()):
        yield "tokenizer.json does not add the begin token; the model was trained with it before every document"
    template = settings.get("chat_template") or ""
    if begins and "bos_token" in str(template):
        yield "tokenizer_config.json: chat_template adds the begin token and so does tokenizer.json: it comes twice"


def file_problems(folder: Path) -> Iterator[str]:
    """Files that others may not read, and files that are not what the manifest says."""
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        if file.stat().st_mode & 0o044 != 0o044:
            mode = oct(file.stat().st_mode & 0o777)
            yield f"{file.name} has permissions {mode}, others cannot read it; chmod 644 {file.name}"
    manifest, damaged = _read(folder, "manifest.json")
    yield from damaged
    if manifest is None:
        return
    outputs = manifest.get("outputs")
    if not isinstance(outputs, dict):
        yield "manifest.json is damaged (it names no files); restore the file or release again"
        return
    for name, written in outputs.items():
        if not (folder / name).is_file():
            yield f"{name} is missing; release again"
        elif digest(folder / name) != written:
            yield f"{name} is not what was released (sha256 differs); restore it or release again"


def weight_problems(folder: Path, config: Config) -> Iterator[str]:
    """Every parameter once, of the shape that config.json gives, and finite; one parameter in memory at a time."""
    with torch.device("meta"):
        parameters = Llama(shape_from_config(config)).state_dict()
    expected = {hugging_face_name(name): tuple(value.shape) for name, value in parameters.items()}
    files = listed(folder, "*.safetensors")
    if not files:
        yield "*.safetensors: there are no weights; release again"
        return
    found: dict[str, str] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118
                    value = opened.get_tensor(name)
                    if name in found:
                        yield f"{file.name}: {name} is in {found[name]} too"
                    found[name] = file.name
                    if name in expected and tuple(value.shape) != expected[name]:
                        yield f"{file.name}: {name} is {tuple(value.shape)}, config.json needs {expected[name]}"
                    if not torch.isfinite(value).all():
                        yield f"{file.name}: {name} has values that are not finite"
        except (SafetensorError, OSError) as error:
            yield f"{file.name} is damaged ({error}); restore the file or release again"
            return
    optional = {"lm_head.weight"} if config.get("tie_word_embeddings") else set()
    for name in sorted(expected.keys() - found.keys() - optional):
        yield f"{name} is missing from the weights; restore its file or release again"
    for name in sorted(name for name in found.keys() - expected.keys() if not name.endswith(COMPUTED)):
        yield f"{found[name]}: {name} is not a parameter of the model in config.json"
    listing, damaged = _read(folder, "model.safetensors.index.json")
    yield from damaged
    index = listing.get("weight_map") if listing is not None else None
    if index is None and len(files) > 1 and not damaged:
        yield "model.safetensors.index.json is missing; transformers cannot find the parts of the weights"
    if index is not None and index != found:
        yield "model.safetensors.index.json does not list what the files hold; release again"


def transformers_problems(folder: Path) -> list[str]:
    """Logits in float32 against transformers, if that is installed and both models fit in memory."""
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        return []
    if sum(file.stat().st_size for file in listed(folder, "*.safetensors")) > LOGIT_CHECK_BYTES:
        return []
    from transformers.utils import logging

    logging.disable_progress_bar()  # its bar would stand between the lines of ours
    ours = load_model(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    tokens = torch.randint(ours.shape.vocab_size, (2, 32), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        difference = float((ours(tokens) - theirs(tokens).logits).abs().max())
    if difference <= LOGIT_TOLERANCE:
        return []
    return [f"transformers computes other logits than Altiplano (they differ by {difference:.2g}); check config.json"]
