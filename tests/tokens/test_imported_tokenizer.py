"""Tokenizers made elsewhere encode as they did there."""

import base64
import json
import random
from pathlib import Path

import pytest
import tiktoken
from hypothesis import assume, given
from hypothesis import strategies as st
from small import sentences
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers.models import WordLevel

from altiplano.errors import InputError
from altiplano.tokens.imported_tokenizer import import_tokenizer
from altiplano.tokens.tokenizer import PATTERN, Tokenizer, byte_characters


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    generator = random.Random(3)
    return Tokenizer.train([sentences(generator, 100) + " déjà 1234 vu 山" for _ in range(60)], 900)


@pytest.fixture(scope="module")
def ranks(trained: Tokenizer) -> dict[bytes, int]:
    byte_of = {character: byte for byte, character in byte_characters().items()}
    vocabulary = trained.hugging_face.get_vocab(with_added_tokens=False)
    return {bytes(byte_of[c] for c in token): rank for token, rank in vocabulary.items() if rank < trained.bos}


@pytest.fixture(scope="module")
def imported(
    trained: Tokenizer, ranks: dict[bytes, int], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Tokenizer]:
    folder = tmp_path_factory.mktemp("tokenizers")
    trained.save(folder)
    lines = (b"%s %d" % (base64.b64encode(token), rank) for token, rank in ranks.items())
    (folder / "tokenizer.model").write_bytes(b"\n".join(lines))
    return {name: import_tokenizer(folder / name) for name in ("tokenizer.json", "tokenizer.model")}


@given(st.text(max_size=60))
def test_the_same_tokens_everywhere(
    imported: dict[str, Tokenizer], trained: Tokenizer, ranks: dict[bytes, int], text: str
) -> None:
    assume("<|" not in text)  # transformers takes a special token that is spelt out for one; we never do
    oracle = tiktoken.Encoding("oracle", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    expected = oracle.encode_ordinary(text)
    for tokenizer in (*imported.values(), trained):
        assert tokenizer.encode(text) == expected
        assert tokenizer.hugging_face.encode(text, add_special_tokens=False).ids == expected
        assert (tokenizer.bos, tokenizer.vocab_size) == (trained.bos, trained.vocab_size)


def test_what_is_no_such_tokenizer_is_one_line(tmp_path: Path, ranks: dict[bytes, int]) -> None:
    other = HuggingFaceTokenizer(WordLevel({"a": 0}, "a"))
    cases = {
        "other.json": (
            other.to_str().encode(),
            "no token '<|begin_of_text|>' that could begin a document; name two of its tokens",
        ),
        "broken.json": (b'{"model": ', "is no tokenizer.json"),
        "empty.json": (json.dumps({}).encode(), "is no tokenizer.json"),
        "ranks": (b"YQ== 0\nnot base64", "line 2 is not a base64 token"),
        "few": (b"YQ== 0", "must rank every single byte"),
    }
    for name, (content, complaint) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=complaint) as error:
            import_tokenizer(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="cannot be read"):
        import_tokenizer(tmp_path / "nowhere")


def test_truncation_padding_and_dropout_do_not_change_documents(trained: Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path)
    expected = trained.encode("a long enough text, déjà vu " * 20)
    other = HuggingFaceTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    other.enable_truncation(8)
    other.enable_padding(length=64)
    other.model.dropout = 0.5
    other.save(str(tmp_path / "tokenizer.json"))
    for tokenizer in (import_tokenizer(tmp_path), import_tokenizer(tmp_path / "tokenizer.json")):
        assert tokenizer.encode("a long enough text, déjà vu " * 20) == expected
        found = tokenizer.hugging_face.encode("a long enough text, déjà vu " * 20, add_special_tokens=False)
        assert found.ids == expected


def test_a_configuration_that_is_no_object_is_damaged(trained: Tokenizer, tmp_path: Path) -> None:
    """It says which tokens begin and end a document: without it, others may be taken."""
    trained.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(InputError, match=r"tokenizer_config\.json is damaged"):
        import_tokenizer(tmp_path)
