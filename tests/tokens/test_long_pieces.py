"""Texts with one piece of great length, which neither training nor encoding may stumble over."""

import itertools
import random
import time

import pytest

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


def test_time_grows_with_the_length_alone(tokenizer):
    for run in RUNS:
        times = []
        for length in (150_000, 600_000):
            begin = time.process_time()
            tokenizer.encode(run * (length // len(run)))
            times.append(time.process_time() - begin)
        assert times[1] < 8 * times[0] or times[1] < 0.5, run


@pytest.mark.parametrize("run", [" ", "a", "!", "\n", "_a_"])
def test_training_does_not_take_time_by_the_square_of_the_longest_piece(run):
    times = []
    for length in (20_000, 80_000, 320_000):
        begin = time.process_time()
        Tokenizer.train([*WORDS, run * (length // len(run))], 528)
        times.append(time.process_time() - begin)
    assert times[2] < 6 * times[1] or times[2] < 1


def test_texts_are_cut_only_where_a_piece_is_too_long():
    for text in (*WORDS, "a" * MAX_PIECE + " " * MAX_PIECE + "!" * MAX_PIECE, "1" * 5000, "", "ab " * 5000):
        assert list(_in_pieces([text])) == [text]
    for run in (" ", "a", "!_", "中", "\n"):
        text = f"x1{run * 3500}1y"
        parts = list(_in_pieces([text]))
        assert "".join(parts) == text and len(parts) > 3 and max(map(len, parts)) <= MAX_PIECE + 4
