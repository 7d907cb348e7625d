import json
from pathlib import Path

import pytest
import torch

from altiplano.inference.language_model import LocalModel
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.schema import ModelConfig
from altiplano.tokens.tokenizer import Tokenizer

torch.set_num_threads(1)  # tiny tensors: a second thread only waits
TEXT = "The high plain lies between two chains of mountains, where the wind is cold and the llamas graze. "


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT * 3, "Die Berge sind hoch und der Wind ist kalt. Ça va très bien."] * 3, 576)


@pytest.fixture(scope="session")
def served(tokenizer: Tokenizer) -> LocalModel:
    shape = ModelConfig(
        num_hidden_layers=2,
        hidden_size=64,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=96,
        vocab_size=tokenizer.vocab_size,
    )
    torch.manual_seed(0)
    model = Llama(shape).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(8)  # far from uniform, so that rounding decides nothing
    return LocalModel("tiny", model, tokenizer, context=256, temperature=0.8)


@pytest.fixture(scope="session")
def release(served: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "release"
    folder.mkdir()
    save_weights(served.model.named_parameters(), folder)
    config = hugging_face_config(served.model.shape, served.context, served.tokenizer.bos, served.tokenizer.eos)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": True, "temperature": 0.8}))
    served.tokenizer.save(folder)
    return folder
