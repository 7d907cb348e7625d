"""Trends against the list of all orders, readings against the order of samples, items planted in training text."""

import itertools
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.item import Choice, Contamination, Item, Task
from altiplano.evaluation.evaluate import FolderScores, Scores, ShardScores
from altiplano.overfitting.contamination import contamination_tests
from altiplano.overfitting.training_text import gap_tests, readings, repetition_test
from altiplano.overfitting.trend import kendall_distribution, rises, trend, trend_test
from altiplano.overfitting.verdict import judged
from altiplano.records import HeldoutScores, TextScores, TrainGap
from altiplano.tokens.shards import Shard, ShardWriter
from altiplano.tokens.training_data import TrainingData


@pytest.mark.parametrize("n", [2, 5, 7])
def test_kendall_against_all_orders(n: int) -> None:
    counts = Counter(
        sum(a > b for a, b in itertools.combinations(order, 2)) for order in itertools.permutations(range(n))
    )
    exact = [counts[k] / math.factorial(n) for k in range(n * (n - 1) // 2 + 1)]
    assert kendall_distribution(n) == pytest.approx(exact)


@pytest.mark.parametrize("n", [5, 6, 9])
def test_the_interval_of_a_slope_covers(n: int) -> None:
    """Of noise about a line; p below 5 % exactly where the interval is on one side of zero."""
    generator = np.random.default_rng(n)
    covered, steps = 0, np.arange(n) * 100.0
    for _ in range(1500):
        noise = generator.standard_t(3, n)
        found = trend(steps, 0.5 * np.arange(n) + noise)
        covered += found.low <= 0.5 * (n - 1) <= found.high
        alone = trend(steps, noise)
        assert (alone.p <= 0.05) == (alone.low > 0 or alone.high < 0)
    assert covered / 1500 >= 0.945


def test_many_evaluations_are_as_few_to_three_digits() -> None:
    values = np.random.default_rng(0).normal(size=61)
    whole = trend(np.arange(61), values)
    from altiplano.overfitting import trend as module

    normal = module._p_value(61, 300)
    chances = kendall_distribution(61)
    scores = 61 * 60 // 2 - 2 * np.arange(len(chances))
    assert normal == pytest.approx(chances[np.abs(scores) >= 300].sum(), abs=2e-3)
    assert whole.low <= whole.change <= whole.high


def test_what_a_trend_is_called() -> None:
    falls = [3, 2, 1.5, 1.2, 1.1, 1.05, 1.0, 0.99, 0.98, 0.97]
    back = [3, 2, 1.5, 1.2, 1.1, 1.2, 1.35, 1.5, 1.6, 1.8]
    steps = [*range(0, 100, 10)]
    assert trend_test("trend", "all", steps, falls, 0.05).verdict == "not shown"
    risen = trend_test("trend", "all", steps, back, 0.05)
    assert risen.verdict == "shown" and "+0.700 from the best" in risen.note
    assert trend_test("trend", "all", steps[:4], falls[:4], 0.05).verdict == "cannot be told"


def test_rises_are_listed() -> None:
    """Of a run that went back from step 30 the newer evaluations count."""

    def line(step: int, bits: float) -> HeldoutScores:
        total = TextScores(nll=1, tokens=1, bytes=1, perplexity=1, bits_per_byte=bits)
        return HeldoutScores(step=step, tokens=0, groups={}, total=total)

    (rise,) = rises([line(0, 3.0), line(10, 2.0), line(20, 1.5), line(30, 1.5), line(20, 2.5), line(30, 2.5)])
    assert (rise.step, rise.before, rise.after) == (20, 2.0, 2.5)


@given(st.floats(-1, 1), st.floats(0.001, 0.5))
def test_a_word_for_every_interval(value: float, half: float) -> None:
    found = judged("gap", "web", value, value - half, value + half, 0.05, "")
    expected = "shown" if value - half > 0.05 else "not shown" if value + half < 0.05 else "cannot be told"
    assert found.verdict == expected


def shard(folder: Path, lengths: list[int]) -> Shard:
    writer = ShardWriter(folder / "web.en", np.uint16)
    for length in lengths:
        writer.add([1, *[5] * (length - 2), 2], 4 * length)
    return writer.close("train", "web", "en")


def test_readings_are_those_of_the_samples(tmp_path: Path) -> None:
    generator = random.Random(0)
    text = shard(tmp_path, [generator.randint(20, 90) for _ in range(60)])
    data = TrainingData([text], 32, 1, 0)
    samples = int(2.4 * data.windows)
    counts = np.zeros(text.tokens)
    for start in data.starts(range(samples)):
        counts[start + 1 : start + 33] += 1  # a window predicts the tokens after its first
    found = readings(text, range(60), data, samples)
    for number in range(60):
        begin, length = text.begin(number), int(text.lengths[number])
        points = np.unique(np.linspace(begin + 1, begin + length - 1, 4).astype(int))
        assert found[number] == pytest.approx(counts[points].mean())
    assert set(counts[1 : data.windows * 32]) == {2, 3}


@pytest.mark.parametrize(("saved", "epochs", "verdict"), [(0.5, 0.5, "shown"), (0.0, 0.5, "not shown"), (0.5, 2, "")])
def test_repetition(saved: float, epochs: float, verdict: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    text = shard(tmp_path, [64] * 400)
    data = TrainingData([text], 32, 1, 0)
    samples = int(epochs * data.windows)
    read = readings(text, range(400), data, samples)
    bits = 2 - saved * np.log2(1 + read) + generator.normal(0, 0.1, 400)
    size = np.full(400, 200.0)
    scores = Scores(bits * size * math.log(2), size, size)
    found = repetition_test(
        FolderScores({}, {"web.en": ShardScores(text, range(400), scores)}, None, 32), data, samples, 0.05  # type: ignore[arg-type]
    )  # fmt: skip
    if verdict:
        assert found.verdict == verdict and found.effect is not None
        assert found.effect.low <= saved <= found.effect.high
    else:
        assert found.verdict == "cannot be told" and "about equally often (2 to 2 times)" in found.note
    unknown = repetition_test(FolderScores({}, {}, None, 32), None, 0, 0.05)  # type: ignore[arg-type]
    assert unknown.verdict == "cannot be told"


def test_few_documents_have_no_gap(tmp_path: Path) -> None:
    text = shard(tmp_path, [64] * 4)
    scores = ShardScores(text, range(4), Scores(np.ones(4), np.ones(4), np.ones(4)))
    folder = FolderScores({"web.en": scores}, {"web.en": scores}, None, 32)  # type: ignore[arg-type]
    (test,) = gap_tests({"web": TrainGap(train=1, heldout=2, gap=1, low=0.9, high=1.1)}, folder, 0.05)
    assert test.verdict == "cannot be told" and "fewer than 10" in test.note


def test_contaminated_items_that_are_known_by_heart() -> None:
    generator = random.Random(4)
    items = tuple(Item(f"{n}", f"{n}", (Choice("?", " yes"), Choice("?", " no")), 0) for n in range(80))
    task = Task("plain", "accuracy", items)
    held = Contamination(frozenset(str(n) for n in range(40)), frozenset({"79"}), 3, 3)

    def judge(known: bool, contamination: Contamination) -> tuple[str, str]:
        answers = [
            Answer("plain", item.id, item.id, "", ["", ""], 0, bytes=[20, 3], score=1.0,
                   logprobs=[-(2 if known and int(item.id) < 40 else 20) + generator.gauss(0, 1), -9.0])
            for item in items
        ]  # fmt: skip
        (found,) = contamination_tests([task], [answers], {"plain": contamination}, 0.05, ("old.jsonl",))
        return found.verdict, found.sample + found.note

    verdict, said = judge(True, held)
    assert verdict == "shown" and "40 of 79 items" in said and "1 items say too little" in said
    assert judge(False, held)[0] != "shown"
    none = Contamination(frozenset(), frozenset(), 3, 3)
    verdict, said = judge(True, none)
    assert verdict == "not shown" and "0 of 80 items" in said and "old.jsonl" in said
    verdict, said = judge(True, Contamination(frozenset(), frozenset(), 1, 3))  # the rest was not searched
    assert verdict == "cannot be told" and "searched 1 of 3 files" in said
