from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.errors import InputError
from altiplano.tokens.tokenizer import Tokenizer, special_tokens

TEXTS = [
    "The river rose in the night, and by morning 1234 sandbags lay along the quay.\n\n",
    "def area(radius):\n    return 3.14159 * radius ** 2  # a circle\n",
    "Über den Dächern läuft ein Kater. Où est la bibliothèque ? Привет, мир! 你好，世界。",
] * 30


@cache
def trained() -> Tokenizer:
    return Tokenizer.train(TEXTS, 640)


@pytest.fixture
def tokenizer() -> Tokenizer:
    return trained()


@given(st.text(max_size=300))
def test_encoding_is_lossless_and_equal_to_hugging_face(text: str) -> None:
    tokenizer = trained()
    tokens = tokenizer.encode(text)
    assert tokenizer.decode_bytes(tokens) == text.encode("utf-8", errors="surrogatepass")
    # Hugging Face reads the names of special tokens in text as those tokens; to us they are text (tested below).
    if not any(name in text for name in special_tokens()):
        assert tokens == tokenizer.hugging_face.encode(text, add_special_tokens=False).ids
    assert all(token < tokenizer.bos for token in tokens)


def test_special_tokens_are_llama_3s(tokenizer: Tokenizer) -> None:
    names = special_tokens()
    assert len(names) == len(set(names)) == 256
    assert names[0] == "<|begin_of_text|>"
    assert names[9] == "<|eot_id|>"  # 128009 in Llama 3
    assert names[255] == "<|reserved_special_token_247|>"
    assert tokenizer.vocab_size == 640
    assert (tokenizer.bos, tokenizer.eos) == (384, 385)


def test_special_tokens_in_text_are_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.bos not in tokenizer.encode("<|begin_of_text|>")
    assert tokenizer.decode([tokenizer.bos, *tokenizer.encode("hello"), tokenizer.eos]) == "hello"


def test_save_and_load(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.encode_batch(TEXTS[:3]) == [tokenizer.encode(text) for text in TEXTS[:3]]


def test_training_is_deterministic(tokenizer: Tokenizer) -> None:
    assert Tokenizer.train(TEXTS, 640).hugging_face.to_str() == tokenizer.hugging_face.to_str()


def test_too_little_text_says_what_would_do() -> None:
    with pytest.raises(InputError, match=r"too small for model.vocab_size = 5,000.*--set model.vocab_size="):
        Tokenizer.train(["a few words"], 5000)


def test_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        Tokenizer.load(tmp_path)
