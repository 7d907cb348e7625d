"""Log-likelihoods with shared contexts equal those of one text at a time; requests packed into windows, too."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from altiplano.benchmarks.asking import answer_items
from altiplano.benchmarks.item import Choice, Item, Task
from altiplano.benchmarks.packed import pack_tasks
from altiplano.errors import InputError
from altiplano.evaluation.evaluate import model_losses
from altiplano.inference.continuations import Continuation, encode, fit, score_continuations
from altiplano.inference.language_model import LocalModel
from altiplano.inference.log_probabilities import score
from altiplano.model.llama import Llama
from altiplano.recipe.schema import ModelConfig
from altiplano.tokens.tokenizer import Tokenizer

torch.set_num_threads(1)
TEXT = "The high plain lies between two chains of mountains, where the wind is cold. "


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT * 3, "Die Berge sind hoch."] * 3, 560)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Llama:
    shape = ModelConfig(
        num_hidden_layers=2,
        hidden_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        vocab_size=tokenizer.vocab_size,
    )
    torch.manual_seed(0)
    made = Llama(shape).eval()
    with torch.no_grad():
        made.lm_head.weight.mul_(8)
    return made


tokens = st.lists(st.integers(0, 4), min_size=0, max_size=6)


@settings(max_examples=60)
@given(
    prefix=st.lists(st.integers(0, 4), min_size=1, max_size=8),
    asked=st.lists(st.tuples(st.booleans(), tokens, tokens), min_size=1, max_size=12),
    most=st.sampled_from([1, 20, 4096]),
)
def test_as_one_text_at_a_time(
    model: Llama, prefix: list[int], asked: list[tuple[bool, list[int], list[int]]], most: int
) -> None:
    """Few tokens, so that contexts are often equal, or begin with one another, or are the prefix itself."""
    pairs = [
        Continuation(tuple([*prefix, *context] if shares else (context or [1])), tuple(said))
        for shares, context, said in asked
    ]
    found = score_continuations(model, pairs, most)
    expected = score(model, [one.context + one.tokens for one in pairs])
    for one, got, wanted in zip(pairs, found, expected, strict=True):
        part = wanted.logprobs[len(one.context) - 1 :]
        assert got.tokens == len(one.tokens) and got.logprob == pytest.approx(float(part.double().sum()), abs=2e-5)


def test_greedy_is_what_generation_says(model: Llama, tokenizer: Tokenizer) -> None:
    from altiplano.inference.generate import Row, Sampling, generate

    row = Row([tokenizer.bos, *tokenizer.encode("The high")], Sampling(max_tokens=4, temperature=0))
    generate(model, tokenizer, [row])
    said = tuple(row.tokens)
    other = (*said[:-1], (said[-1] + 1) % 500)
    right, wrong = score_continuations(model, [Continuation(tuple(row.prompt), one) for one in (said, other)])
    assert right.greedy and not wrong.greedy


def test_borders_are_those_of_running_text(tokenizer: Tokenizer) -> None:
    """A space at the end of a context belongs to the continuation; both together are the text's own tokens."""
    one, two = encode(tokenizer, True, 100, [("The high ", "plain"), ("The high", " plain")])
    assert one == two
    assert list(one.context + one.tokens) == [tokenizer.bos, *tokenizer.encode("The high plain")]
    (empty,) = encode(tokenizer, False, 100, [("", "plain")])
    assert empty.context == (tokenizer.bos,)


def test_what_does_not_fit_is_counted(tokenizer: Tokenizer) -> None:
    (cut,) = encode(tokenizer, True, 12, [(TEXT, " wind")])
    assert cut.cut > 0 and len(cut.context) + len(cut.tokens) == 13 and cut.context[0] == tokenizer.bos
    alone = fit([1, 2], [*range(20)], 5)
    assert alone == Continuation((14,), (15, 16, 17, 18, 19), 16)


def made_up_task(metric: str = "accuracy", items: int = 30) -> Task:
    generator = random.Random(1)
    words = TEXT.replace(".", "").replace(",", "").split()

    def item(number: int) -> Item:
        context = "".join(f"Say {generator.choice(words)}.\n" for _ in range(3)) + generator.choice(words)
        choices = tuple(Choice(context, " " + word, word) for word in generator.sample(words, 4))
        return Item(str(number), str(number // 3), choices, generator.randrange(4), "", context)

    return Task("words", metric, tuple(item(number) for number in range(items)))  # type: ignore[arg-type]


@pytest.mark.parametrize("sequence", [12, 256])
def test_packed_into_windows_as_offline(model: Llama, tokenizer: Tokenizer, sequence: int) -> None:
    task = made_up_task()
    packed = pack_tasks([task], tokenizer, sequence, 20)
    found = packed.scores(
        lambda batch: model_losses(model, batch).detach(), tokenizer.bos, 4, slice(0, 4), lambda sums: sums
    )["words"]
    served = LocalModel("tiny", model, tokenizer, context=sequence)
    answers = answer_items(served, task, task.first(20))
    assert found.items == 20
    assert found.score.value == pytest.approx(np.mean([answer.score for answer in answers]))
    bits = sum(answer.gold_bits for answer in answers) / sum(answer.gold_bytes for answer in answers)
    assert found.bits_per_byte is not None and found.bits_per_byte.value == pytest.approx(bits, rel=1e-5)
    assert found.cut == sum(answer.cut > 0 for answer in answers) == (20 if sequence == 12 else 0)


def test_windows_are_shared_between_ranks(model: Llama, tokenizer: Tokenizer) -> None:
    """Sums of two ranks' shares are those of one."""
    packed = pack_tasks([made_up_task()], tokenizer, 64, 30)
    parts = []

    def keep(sums: torch.Tensor) -> torch.Tensor:
        parts.append(sums.clone())
        return sums

    for share in (slice(0, 4), slice(0, 2), slice(2, 4)):
        packed.scores(lambda batch: model_losses(model, batch).detach(), tokenizer.bos, 4, share, keep)
    assert torch.allclose(parts[0], parts[1] + parts[2], atol=1e-4)


def test_requests_lie_apart_in_few_windows(tokenizer: Tokenizer) -> None:
    """No request over another or over a window's end, and hardly more windows than their tokens fill."""
    packed = pack_tasks([made_up_task(items=60)], tokenizer, 64, 60)
    asked = [one for _, _, some in packed.tasks for one in some]
    used = np.zeros(packed.windows.shape, dtype=int)
    for one, place in zip(asked, packed.places, strict=True):
        begin = place.start + 1 - len(one.context)
        end = place.end + 1
        assert packed.windows[place.window, begin:end].tolist() == [*one.context, *one.tokens]
        used[place.window, begin:end] += 1
    assert used.max() == 1 and used.sum() > 0.8 * used.size


def test_a_long_prompt_keeps_its_begin_token(model: Llama, tokenizer: Tokenizer) -> None:
    served = LocalModel("tiny", model, tokenizer, context=64)
    whole = served.prompt(TEXT)
    assert served.prompt(TEXT, 5) == [tokenizer.bos, *whole[-4:]] and served.prompt(TEXT, 1000) == whole
    without = LocalModel("tiny", model, tokenizer, context=64, adds_bos=False)
    assert without.prompt(TEXT, 5) == whole[-5:] and without.prompt("", 5) == [tokenizer.bos]


def test_weights_that_are_no_numbers(model: Llama, tokenizer: Tokenizer) -> None:
    """Training goes on without these scores; a finished model is refused."""
    broken = Llama(model.shape)
    broken.load_state_dict(model.state_dict())
    with torch.no_grad():
        broken.norm.weight.fill_(float("nan"))
    task = made_up_task()
    packed = pack_tasks([task], tokenizer, 64, 5)
    how = (tokenizer.bos, 4, slice(0, 4), lambda sums: sums)
    assert packed.scores(lambda batch: model_losses(broken, batch).detach(), *how) == {}
    with pytest.raises(InputError, match="no numbers"):
        answer_items(LocalModel("tiny", broken.eval(), tokenizer, context=256), task, task.items)
