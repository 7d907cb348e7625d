import math

import pytest
import torch

from altiplano.inference.generate import Row, Sampling, generate, stream
from altiplano.inference.language_model import LocalModel
from altiplano.inference.log_probabilities import score

PROMPTS = ["The", "The wind is", "mountains and", "Ça va très bien, und die Berge sind hoch und kalt", ""]


def complete(served: LocalModel, prompts: list[str], **sampling: object) -> list[Row]:
    rows = [Row(served.prompt(prompt), Sampling(**sampling)) for prompt in prompts]
    generate(served.model, served.tokenizer, rows)
    return rows


@torch.inference_mode()
def greedy_without_cache(served: LocalModel, prompt: list[int], tokens: int) -> list[int]:
    sequence = list(prompt)
    while len(sequence) < len(prompt) + tokens and (sequence[-1] != served.tokenizer.eos):
        sequence.append(int(served.model(torch.tensor([sequence]))[0, -1].argmax()))
    return sequence[len(prompt) :]


def test_greedy_batch_equals_the_full_forward_of_each_prompt(served: LocalModel):
    for row in complete(served, PROMPTS, temperature=0.0, max_tokens=30):
        assert row.tokens == greedy_without_cache(served, row.prompt, 30)
        assert row.finish == ("stop" if row.tokens[-1] == served.tokenizer.eos else "length")


def test_greedy_equals_transformers(served: LocalModel, release):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(release, dtype=torch.float32)
    for row in complete(served, PROMPTS[:3], temperature=0.0, max_tokens=20):
        said = theirs.generate(torch.tensor([row.prompt]), max_new_tokens=20, do_sample=False, pad_token_id=0)
        assert said[0, len(row.prompt) :].tolist() == row.tokens


def test_a_sampled_row_says_the_same_in_any_batch(served: LocalModel):
    sampling = {"temperature": 1.0, "max_tokens": 40, "seed": 7, "top_p": 0.95}
    together = complete(served, PROMPTS, **sampling)
    alone = [complete(served, [prompt], **sampling)[0] for prompt in PROMPTS]
    assert [row.tokens for row in together] == [row.tokens for row in alone]
    assert torch.allclose(torch.tensor(together[1].logprobs), torch.tensor(alone[1].logprobs), atol=1e-4)


def test_the_seed_decides(served: LocalModel):
    first, again = (complete(served, ["The"], seed=3, max_tokens=30)[0].tokens for _ in range(2))
    assert first == again
    assert first != complete(served, ["The"], seed=4, max_tokens=30)[0].tokens


def test_sampling_follows_the_distribution_and_its_limits(served: LocalModel):
    prompt = served.prompt("The wind")
    with torch.inference_mode():
        logits = served.model(torch.tensor([prompt]))[0, -1]
    expected = (logits / 0.7).softmax(-1)
    rows = [Row(prompt, Sampling(max_tokens=1, temperature=0.7, seed=seed)) for seed in range(3000)]
    generate(served.model, served.tokenizer, rows)
    drawn = torch.bincount(torch.tensor([row.tokens[0] for row in rows]), minlength=len(logits)) / len(rows)
    best = int(expected.argmax())
    assert abs(drawn[best] - expected[best]) < 4 * math.sqrt(expected[best] * (1 - expected[best]) / len(rows))
    assert (drawn - expected).abs().sum() < 0.3

    top = logits.topk(3).indices.tolist()
    rows = [Row(prompt, Sampling(max_tokens=1, temperature=5.0, seed=seed, top_k=3)) for seed in range(200)]
    generate(served.model, served.tokenizer, rows)
    assert {row.tokens[0] for row in rows} == set(top)

    nucleus = expected.sort(descending=True)
    wanted = nucleus.indices[: int((nucleus.values.cumsum(0) < 0.5).sum()) + 1].tolist()
    rows = [Row(prompt, Sampling(max_tokens=1, temperature=0.7, seed=seed, top_p=0.5)) for seed in range(300)]
    generate(served.model, served.tokenizer, rows)
    assert {row.tokens[0] for row in rows} <= set(wanted)


def test_a_stop_string_ends_the_text_before_it(served: LocalModel):
    whole = complete(served, ["The"], temperature=0.0, max_tokens=30)[0].text
    stop = whole[10:14]
    row = complete(served, ["The"], temperature=0.0, max_tokens=30, stop=(stop, "never said"))[0]
    assert row.text == whole[: whole.index(stop)]
    assert row.finish == "stop"


def test_logprobs_are_those_of_the_model_whatever_the_temperature(served: LocalModel):
    for row in complete(served, PROMPTS, temperature=1.3, max_tokens=12, alternatives=2):
        scored = score(served.model, [row.prompt + row.tokens], alternatives=2)[0]
        said = scored.logprobs[len(row.prompt) - 1 :]
        assert torch.allclose(said, torch.tensor(row.logprobs), atol=1e-4)
        for ours, full in zip(row.alternatives, scored.alternatives[len(row.prompt) - 1 :], strict=True):
            assert [token for token, _ in ours] == [token for token, _ in full]


def test_score_equals_log_softmax_of_the_full_forward(served: LocalModel):
    rows = [served.prompt(text) for text in ("a", "The wind is cold.", "mountains " * 9)] + [[5]]
    for row, scored in zip(rows, score(served.model, rows, temperature=1.7), strict=True):
        with torch.inference_mode():
            logprobs = (served.model(torch.tensor([row]))[0, :-1] / 1.7).log_softmax(-1)
        expected = logprobs.gather(-1, torch.tensor(row)[1:, None])[:, 0]
        assert torch.allclose(scored.logprobs, expected, atol=1e-5)


def test_stream_tells_of_every_token_and_of_nothing_for_no_tokens(served: LocalModel):
    row = Row(served.prompt("The"), Sampling(max_tokens=5, temperature=0.0))
    assert [len(row.tokens) for _ in stream(served.model, served.tokenizer, [row])] == [1, 2, 3, 4, 5]
    empty = Row(served.prompt("The"), Sampling(max_tokens=0))
    assert list(stream(served.model, served.tokenizer, [empty])) == []
    assert empty.finish == "length"


def test_a_prompt_without_tokens_is_refused():
    with pytest.raises(ValueError, match="begin it with"):
        Row([], Sampling())
