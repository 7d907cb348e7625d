"""Tokenizers of other models: SentencePiece's kind, GPT-2's kind; the same tokens as Hugging Face's library gives."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import sentences
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from altiplano.errors import InputError
from altiplano.tokens.imported_tokenizer import import_tokenizer
from altiplano.tokens.tokenizer import Tokenizer, adds_bos

TEXTS = [sentences(random.Random(seed), 200) + " déjà vu 1234" for seed in range(20)]


def like_llama_2() -> HuggingFaceTokenizer:
    """SentencePiece's BPE: a word begins with a low line, unknown characters are bytes."""
    tokenizer = HuggingFaceTokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    content = json.loads(tokenizer.to_str())
    vocabulary = content["model"]["vocab"]
    for byte in range(256):  # in the vocabulary, not among the added tokens
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    return HuggingFaceTokenizer.from_str(json.dumps(content))


def like_gpt_2() -> HuggingFaceTokenizer:
    """Byte-level BPE with another pattern, special tokens first, and words that were added."""
    tokenizer = HuggingFaceTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|im_start|>", "<|im_end|>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


@pytest.fixture(scope="module", params=["llama-2", "gpt-2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param)
    made = like_llama_2() if request.param == "llama-2" else like_gpt_2()
    made.save(str(path / "tokenizer.json"))
    if request.param == "gpt-2":
        names = {"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>"}
        (path / "tokenizer_config.json").write_text(json.dumps(names))
    return path


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return import_tokenizer(folder)


@given(text=st.text(max_size=80))
def test_the_same_tokens_and_the_text_back(tokenizer: Tokenizer, folder: Path, text: str) -> None:
    library = HuggingFaceTokenizer.from_file(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True
    expected = library.encode(text, add_special_tokens=False).ids
    assert tokenizer.encode(text) == tokenizer.encode_batch([text])[0] == expected
    if not text.startswith(" ") and "▁" not in text and "\ufffd" not in text:
        assert tokenizer.decode(expected) == text
        # token by token, as a server sends it; SentencePiece begins every text with a space
        assert b"".join(tokenizer.decode_bytes([token]) for token in expected).decode().removeprefix(" ") == text


def test_special_tokens_spelt_out_are_text(tokenizer: Tokenizer) -> None:
    begin = tokenizer.name_of(tokenizer.bos)
    assert tokenizer.bos not in tokenizer.encode(f"a {begin} b")
    assert begin in tokenizer.decode(tokenizer.encode(f"a {begin} b"))
    assert tokenizer.decode([tokenizer.bos, *tokenizer.encode("words"), tokenizer.eos]) == "words"


def test_it_is_saved_with_the_names_of_its_tokens(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert (again.bos, again.eos, again.vocab_size) == (tokenizer.bos, tokenizer.eos, tokenizer.vocab_size)
    assert again.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])


def test_one_token_for_both_is_refused(tmp_path: Path) -> None:
    made = like_gpt_2()
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match=r"name two of its tokens as bos_token and eos_token"):
        import_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<|im_end|>", "eos_token": "<|im_end|>"}')
    with pytest.raises(InputError, match=r"begins and ends documents with the same token '<\|im_end\|>'"):
        import_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "names", "begins"),
    [
        ("tokenizer_config.json", {"bos_token": None, "eos_token": "<|im_end|>"}, ("<|im_end|>", "<|im_end|>"), False),
        ("tokenizer_config.json", {"eos_token": "<pad>", "add_bos_token": True}, ("<pad>", "<pad>"), True),
        ("special_tokens_map.json", {"bos_token": "<pad>", "eos_token": "<|im_end|>"}, ("<pad>", "<|im_end|>"), False),
        ("config.json", {"bos_token_id": 0, "eos_token_id": [1, 2]}, ("<|im_start|>", "<|im_end|>"), False),
    ],
)
def test_what_the_files_beside_it_say(
    file: str, content: dict[str, object], names: tuple[str, str], begins: bool, tmp_path: Path
) -> None:
    like_gpt_2().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / file).write_text(json.dumps(content))
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.name_of(tokenizer.bos), tokenizer.name_of(tokenizer.eos)) == names
    assert adds_bos(tmp_path, tokenizer) is begins


def test_no_special_token_at_all(tmp_path: Path) -> None:
    like_gpt_2().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match=r"has no token .* that could begin a document"):
        Tokenizer.load(tmp_path)
