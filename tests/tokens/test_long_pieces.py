"""Texts with one piece of great length, which neither training nor encoding may stumble over."""

import itertools
import random

import pytest
from growth import grows_faster_than_its_input

from altiplano.tokens.tokenizer import MAX_PIECE, MAX_SPACES, Tokenizer, _in_pieces

WORDS = [
    " ".join(random.Random(i).choices(["the", "river", "counts", "its", "stones", "42", "être"], k=300))
    for i in range(40)
]
RUNS = (" ", "\t", "\n", " \n", "a", "ab", "é", "!", "-=", "_", "1", "中", "\u3000", "\u0301", "<|end_of_text|>")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([*WORDS, " " * 200, "\t" * 40, "\n" * 30], 528)


@pytest.mark.parametrize(
    ("run", "length"),
    [*itertools.product(RUNS, [MAX_SPACES - 3, MAX_SPACES + 1, 3000]), (" ", 1_200_000), ("a", 1_200_000)],
)
def test_every_run_is_encoded_as_the_reference_does(tokenizer, run, length):
    text = f"before {run * (length // len(run))} after"
    tokens = tokenizer.encode(text)
    assert tokenizer.encode_batch(["x", text, "y"], threads=2)[1] == tokens
    assert tokenizer.decode_bytes(tokens) == text.encode() and max(tokens) < tokenizer.bos
    if not run.startswith("<|"):
        assert tokens == tokenizer.hugging_face.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("seed", range(20))
def test_the_slow_way_gives_the_same_tokens_as_the_fast_one(tokenizer, seed):
    chosen = random.Random(seed)
    text = "".join(
        run * int(chosen.expovariate(1 / 30)) for run in chosen.choices([*RUNS, "word ", "\ud800", "\r"], k=60)
    )
    assert tokenizer._encode_safely(text) == tokenizer._tiktoken.encode_ordinary(text)
    assert tokenizer.hugging_face.encode_special_tokens is False


@pytest.mark.parametrize("run", RUNS)
def test_encoding_takes_time_by_the_length_alone(tokenizer, run):
    assert not grows_faster_than_its_input(tokenizer.encode, lambda length: run * (length // len(run)), 150_000, 10)


@pytest.mark.parametrize("run", [" ", "a", "!", "\n", "_a_"])
def test_training_takes_time_by_the_length_alone(run):
    def train(text: str) -> Tokenizer:
        return Tokenizer.train([*WORDS, text], 528)

    assert not grows_faster_than_its_input(train, lambda length: run * (length // len(run)), 40_000, 8)


def test_texts_are_cut_only_where_a_piece_is_too_long():
    for text in (*WORDS, "a" * MAX_PIECE + " " * MAX_PIECE + "!" * MAX_PIECE, "1" * 5000, "", "ab " * 5000):
        assert list(_in_pieces([text])) == [text]
    for run in (" ", "a", "!_", "中", "\n"):
        text = f"x1{run * 3500}1y"
        parts = list(_in_pieces([text]))
        assert "".join(parts) == text and len(parts) > 3 and max(map(len, parts)) <= MAX_PIECE + 4
