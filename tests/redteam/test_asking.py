"""Prompts to models: portions, resuming after kill -9, budgets, probes that break, controls."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from altiplano.errors import InputError
from altiplano.inference.language_model import LocalModel
from altiplano.redteam import runner, transcript
from altiplano.redteam.likelihoods import false_facts, glitch_tokens
from altiplano.redteam.probes.trial import HARMLESS, Probe, Trial
from altiplano.redteam.responders import Bigram
from altiplano.redteam.runner import ask, make_all
from altiplano.redteam.stereotypes import CATEGORIES, pairs, stereotypes
from altiplano.redteam.summary import ProbeInfo, summarise
from altiplano.redteam.transcript import read_transcript
from altiplano.tokens.shards import read_shards


@pytest.fixture(scope="module")
def stream(run) -> np.ndarray:
    return np.asarray(read_shards(run / "tokenize", "train")[0].data, dtype=np.int64)


@pytest.fixture(scope="module")
def bigram(stream, tokenizer) -> Bigram:
    return Bigram(stream, tokenizer.vocab_size)


def probe(name: str, score=lambda trial, output: 0.0, n: int = 12, hazard: str = "hate") -> Probe:
    return Probe(name, hazard, "", "exact", tuple(Trial(name, f"the river {i}") for i in range(n)), score)


def test_a_probe_that_breaks_ends_alone_and_is_named(ignorant, bigram, tmp_path):
    def broken(trial: Trial, output: str) -> float:
        raise RuntimeError("no list here")

    probes, why = make_all({"fine": lambda: probe("fine"), "unmade": lambda: 1 / 0, "absent": lambda: None})
    assert [one.name for one in probes] == ["fine"]
    assert "ZeroDivisionError" in why["unmade"] and "absent" in why
    probes.append(probe("bad", broken))
    ask(ignorant, probes, bigram, tmp_path, tokens=4, seed=1)
    tests, left_out = summarise(read_transcript(tmp_path), [ProbeInfo.of(one) for one in probes], {})
    assert [test.name for test in tests] == ["probe: fine"]
    assert left_out[0].name == "probe: bad" and "no list here" in left_out[0].why


def test_a_control_that_succeeds_makes_a_probe_uninformative(ignorant, bigram, tmp_path):
    every = probe("every", lambda trial, output: 1.0)
    said = probe("said", lambda trial, output: float(bool(output) and output != trial.prompt))
    ask(ignorant, [every, said], bigram, tmp_path, tokens=4, seed=1)
    tests, _ = summarise(read_transcript(tmp_path), [ProbeInfo.of(every), ProbeInfo.of(said)], {})
    assert [test.informative for test in tests] == [False, False]  # the bigram says something, too
    assert tests[0].model.rate == 1.0 and tests[0].excess == 0.0
    rates = {control.name: control.rate for control in tests[1].controls}
    assert (rates["blank"], rates["echo"], rates["bigram"]) == (0.0, 0.0, 1.0)


def test_harmless_prompts_are_a_control_and_attempts_of_one_group_count_once(ignorant, bigram, tmp_path):
    trials = [Trial("p", f"stone {i}") for i in range(20)]
    trials += [Trial("p", f"bread {i}", mode=HARMLESS) for i in range(10)]
    trials += [Trial("p", "song", mode="best of 5", group=name) for name in "ab" for _ in range(5)]
    hits = iter([True] + [False] * 9)

    def score(trial: Trial, output: str) -> float:
        if output in ("", trial.prompt) or trial.mode != "best of 5":
            return float(trial.mode == HARMLESS and output not in ("", trial.prompt))
        return float(next(hits, False))

    one = Probe("p", "hate", "", "exact", tuple(trials), score)
    ask(ignorant, [one], bigram, tmp_path, tokens=4, seed=1)
    found = summarise(read_transcript(tmp_path), [ProbeInfo.of(one)], {})[0][0]
    assert found.n == 20
    assert next(control for control in found.controls if control.name == "harmless prompts").rate == 1.0
    assert not found.informative
    assert [(mode.name, mode.n) for mode in found.modes] == [("best of 5", 2)]


def test_a_budget_ends_between_portions_and_a_second_call_goes_on(ignorant, bigram, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "PORTION", 8)
    some = [probe("one"), probe("two")]
    whole, part = tmp_path / "whole", tmp_path / "part"
    assert ask(ignorant, some, bigram, whole, tokens=4, seed=1) == 24
    assert ask(ignorant, some, bigram, part, tokens=4, seed=1, seconds=1e-9) == 24
    assert read_transcript(part) == []
    asked: list[int] = []
    real = runner.model
    monkeypatch.setattr(runner, "model", lambda *a, **k: asked.append(k["first"]) or real(*a, **k))
    (part / transcript.TRANSCRIPT).mkdir()
    middle = transcript.portion_file(part, 1)
    middle.write_bytes(transcript.portion_file(whole, 1).read_bytes())
    ask(ignorant, some, bigram, part, tokens=4, seed=1)
    assert asked == [0, 16]
    assert read_transcript(part) == read_transcript(whole)


def test_a_folder_with_a_transcript_of_something_else_is_refused(ignorant, bigram, tmp_path):
    ask(ignorant, [probe("one")], bigram, tmp_path, tokens=4, seed=1, fingerprint="aa")
    with pytest.raises(InputError, match="another model"):
        ask(ignorant, [probe("one")], bigram, tmp_path, tokens=4, seed=1, fingerprint="bb")
    with pytest.raises(InputError, match="another prompts"):
        ask(ignorant, [probe("two")], bigram, tmp_path, tokens=4, seed=1, fingerprint="aa")


def test_the_bigram_control_speaks_in_pairs_of_the_training_text(stream, bigram, ignorant: LocalModel, tokenizer):
    prompts = ["the mountain", "the river", "zzz"]
    said = bigram.say(ignorant, prompts, 30, seed=0)
    assert said == bigram.say(ignorant, prompts, 30, seed=0)
    known = set(pairwise(stream.tolist()))
    tokens = tokenizer.encode(said[0])
    assert np.mean([pair in known for pair in pairwise(tokens)]) > 0.9
    likely, unlikely = tokenizer.encode("the mountain"), tokenizer.encode("mountain the mountain the")
    assert bigram.log_probability(likely) / len(likely) > bigram.log_probability(unlikely) / len(unlikely)
    counts, vocabulary = Counter(pairwise(stream.tolist())), tokenizer.vocab_size
    followers = Counter(stream[:-1].tolist())
    wanted = sum(np.log((counts[a, b] + 1) / (followers[a] + vocabulary)) for a, b in pairwise(likely))
    assert bigram.log_probability(likely) == pytest.approx(wanted)


def test_stereotype_pairs_are_balanced_and_a_biased_model_is_seen(bigram, ignorant: LocalModel, overfit, tokenizer):
    assert len(pairs()) >= 300
    for category in CATEGORIES:
        mine = [pair for pair in pairs() if pair.category == category]
        words = [(set(pair.stereotyped.split()) - set(pair.against.split())).pop().strip(".,:") for pair in mine]
        assert sorted(Counter(words).values()) == [len(mine) // 2] * 2, category
    fair = stereotypes(ignorant, bigram.log_probability)
    assert fair.judged.high < 0.2
    assert min(category.p_holm for category in fair.categories) > 0.01
    rows = [[tokenizer.bos, *tokenizer.encode(pair.stereotyped)] for pair in pairs()[:96]]
    biased = stereotypes(overfit(rows, 150), bigram.log_probability)
    first = biased.categories[0]
    assert first.mean > 0 and first.p_holm < 0.05
    assert biased.judged.value > fair.judged.value


def test_false_facts_say_nothing_about_a_model_that_knows_none(bigram, ignorant):
    found = false_facts(ignorant, bigram.log_probability)
    assert found.n >= 300 and not found.informative
    assert {one.name for one in found.languages} == {"en", "de", "fr", "es"}


def test_glitch_tokens_are_those_that_a_model_which_repeats_does_not(ignorant, tokenizer, monkeypatch):
    import torch

    from altiplano.inference.continuations import Likelihood

    small = set(range(10, 30))
    weight = ignorant.model.embed_tokens.weight.detach().clone()
    mean = weight.mean(0)
    with torch.no_grad():
        for token in small:
            ignorant.model.embed_tokens.weight[token] = mean + 1e-4
    monkeypatch.setattr(
        LocalModel,
        "score_continuations",
        lambda model, asked: [Likelihood(0.0, one.tokens[0] not in small, 1) for one in asked],
    )
    try:
        found = glitch_tokens(ignorant, 20, 0)
    finally:
        with torch.no_grad():
            ignorant.model.embed_tokens.weight.copy_(weight)
    assert found.model.rate == 1.0
    assert found.informative and found.judged.low > 0.5
