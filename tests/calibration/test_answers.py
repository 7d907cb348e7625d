"""The answer temperature: found, carried from task to task, never judged on what it was fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from answer_folders import answered, simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from altiplano.benchmarks.answers import Answer
from altiplano.calibration.answers.alternatives import platt, vector_scaled
from altiplano.calibration.answers.calibrate import calibrate_answers
from altiplano.calibration.answers.choices import Choices, by_normalisation, clusters_of, usable
from altiplano.calibration.answers.reliability import Reliability, risk_coverage, score
from altiplano.calibration.answers.temperature import derivatives, fit, interval, judge, resamples, task_weights
from altiplano.calibration.calibration_error import adaptive_calibration_error, expected_calibration_error, summary
from altiplano.errors import InputError

torch.set_num_threads(1)


def joined(*parts: Choices) -> Choices:
    places = np.cumsum([0, *(len(part) for part in parts)])
    return Choices(
        torch.cat([part.scores for part in parts]),
        torch.cat([part.gold for part in parts]),
        np.concatenate([part.task for part in parts]),
        np.concatenate([part.cluster + at for part, at in zip(parts, places[:-1], strict=True)]),
    )


def draws(choices: Choices) -> list[np.ndarray]:
    return list(resamples(choices, 100, seed=0))


def tasks(**sharpening: float) -> dict[str, list[Answer]]:
    return {
        name: answered(simulated(sharpening=by, seed=place, task=name), question=name)
        for place, (name, by) in enumerate(sharpening.items())
    }


def calibrated(answers: Mapping[str, Sequence[Answer]], **options: object):
    return calibrate_answers(answers, **{"bins": 15, "samples": 100, "seed": 0, "normalisation": "sum"} | options)  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.01, 100), seed=st.integers(0, 3))
def test_sharpened_scores_need_a_temperature_as_much_higher(factor: float, seed: int):
    plain, sharp = (fit(simulated(sharpening=by, seed=seed)).temperature for by in (1.0, factor))
    assert sharp == pytest.approx(factor * plain, rel=1e-3)
    assert plain == pytest.approx(1, abs=0.35)


def test_one_and_a_half_times_the_logits_is_one_and_a_half_times_the_temperature():
    """Of the vocabulary's logits: choices of one token have a common denominator, so theirs are as much sharper."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(500, 300, generator=random, dtype=torch.float64) * 2
    letters = logits[:, :4]
    gold = torch.multinomial(letters.softmax(-1), 1, generator=random)[:, 0]
    found = [
        fit(Choices((logits * by).log_softmax(-1)[:, :4], gold, np.array(["a"] * 500), np.arange(500))).temperature
        for by in (1.0, 1.5)
    ]
    assert found[1] == pytest.approx(1.5 * found[0], rel=1e-3)


def test_derivatives_are_those_of_the_loss():
    choices, step = simulated(seed=3), 1e-4

    def nll(beta: float) -> float:
        return float(derivatives(choices, beta, torch.ones(len(choices))).nll.sum())

    at = derivatives(choices, 0.8, torch.ones(len(choices)))
    expected = torch.nn.functional.cross_entropy(0.8 * choices.scores, choices.gold, reduction="sum")
    assert nll(0.8) == pytest.approx(float(expected))
    assert float(at.first.sum()) == pytest.approx((nll(0.8 + step) - nll(0.8 - step)) / (2 * step), rel=1e-5)
    second = (nll(0.8 + step) - 2 * nll(0.8) + nll(0.8 - step)) / step**2
    assert float(at.second.sum()) == pytest.approx(second, rel=1e-3)


def test_the_temperature_is_that_of_netcal():
    scaling = pytest.importorskip("netcal.scaling")
    choices = simulated(sharpening=2.0, seed=1)
    whole = choices.of(np.isfinite(choices.scores.numpy()).all(1))
    other = scaling.TemperatureScaling()
    other.fit(whole.scores.softmax(-1).numpy(), whole.gold.numpy())
    assert fit(whole).temperature == pytest.approx(1 / float(other.temperature[0]), rel=0.01)


def test_tasks_weigh_alike_whatever_their_size():
    small, large = simulated(items=100, seed=1), simulated(items=800, sharpening=3.0, seed=2, task="b")
    both = joined(small, large)
    assert float(task_weights(both)[both.task == "a"].sum()) == pytest.approx(450)
    repeated = joined(*[simulated(items=100, seed=1)] * 8, large)
    assert fit(both).temperature == pytest.approx(fit(repeated).temperature, rel=1e-4)


def test_what_says_nothing_goes_to_the_bound():
    choices = simulated()
    wrong = Choices(choices.scores, choices.scores.masked_fill(choices.scores.isinf(), 9).argmin(-1), *_rest(choices))
    right = Choices(choices.scores, choices.scores.argmax(-1), *_rest(choices))
    flat = Choices(torch.zeros(400, 4, dtype=torch.float64), choices.gold, *_rest(choices))
    assert fit(wrong).at_bound and fit(wrong).temperature > 100
    assert fit(right).at_bound and fit(right).temperature < 0.01
    assert np.isfinite(fit(flat).temperature)
    assert not fit(choices).at_bound


def _rest(choices: Choices) -> tuple[np.ndarray, np.ndarray]:
    return choices.task, choices.cluster


def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(40):
        low, high = interval(simulated(items=120, seed=100 + seed), 80, seed)
        covered += low <= 1 <= high
    assert covered >= 33  # 38 expected; 32 or fewer has a chance below 0.4 %


def test_intervals_are_over_clusters():
    """The same items four times over, as one cluster or as independent ones."""
    items = simulated(items=200, seed=5)
    four = Choices(items.scores.repeat(4, 1), items.gold.repeat(4), np.tile(items.task, 4), np.tile(items.cluster, 4))
    apart = Choices(four.scores, four.gold, four.task, np.arange(800))
    wide, narrow, once = (interval(one, 200, 0) for one in (four, apart, items))
    assert wide[1] - wide[0] == pytest.approx(once[1] - once[0], rel=0.01)
    assert narrow[1] - narrow[0] == pytest.approx((once[1] - once[0]) / 2, rel=0.2)
    together, alone = (
        score(Reliability.of(judge(one.scores, one.gold)), one, 15, draws(one), 0).record().accuracy
        for one in (four, apart)
    )
    assert alone.high - alone.low == pytest.approx((together.high - together.low) / 2, rel=0.2)


@pytest.mark.parametrize("sharpening", [0.5, 1.0, 3.0])
def test_measures_are_those_of_tokens_and_of_other_libraries(sharpening: float):
    choices = simulated(items=1000, sharpening=sharpening)
    judged = judge(choices.scores, choices.gold)
    found = score(Reliability.of(judged), choices, 15, draws(choices), 0).record()
    told = summary(judged, 15)
    assert found.ece.value == pytest.approx(expected_calibration_error(judged, 15))
    assert found.adaptive_ece.value == pytest.approx(adaptive_calibration_error(judged, 15))
    assert found.nll is not None and found.nll.value == pytest.approx(told.nll)
    probabilities = choices.scores.softmax(-1)
    one_hot = torch.nn.functional.one_hot(choices.gold, 4)
    assert found.brier is not None
    assert found.brier.value == pytest.approx(float((probabilities - one_hot).square().sum(-1).mean()))
    for interval_ in (found.ece, found.nll, found.brier, found.accuracy, found.aurc):
        assert interval_.low <= interval_.value <= interval_.high

    classification = pytest.importorskip("torchmetrics.functional.classification")
    theirs = classification.multiclass_calibration_error(probabilities, choices.gold, num_classes=4, n_bins=15)
    assert found.ece.value == pytest.approx(float(theirs), abs=1e-6)
    metrics = pytest.importorskip("netcal.metrics")
    top = metrics.ECE(15).measure(judged.confidence.numpy(), judged.correct.numpy().astype(int))
    assert found.ece.value == pytest.approx(float(top), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9, 0.95]), st.booleans()), min_size=1, max_size=30))
def test_the_risk_coverage_area_is_the_mean_risk_of_thresholds(rows: list[tuple[float, bool]]):
    confidence, correct = np.array([c for c, _ in rows]), np.array([float(right) for _, right in rows])
    count = len(rows)
    choices = Choices(torch.zeros(count, 2), torch.zeros(count), np.array(["a"] * count), np.arange(count))
    found = score(Reliability(confidence, correct), choices, 5, draws(choices), 0)
    brute = np.mean([1 - correct[confidence >= one].mean() for one in confidence])
    assert found.record().aurc.value == pytest.approx(brute)
    curve = risk_coverage(Reliability(confidence, correct))
    assert curve[-1].coverage == 1 and curve[-1].risk == pytest.approx(1 - correct.mean())
    assert [point.coverage for point in curve] == sorted(point.coverage for point in curve)


def test_the_floor_is_what_a_calibrated_model_shows():
    errors = []
    for seed in range(30):
        choices = simulated(items=200, seed=seed)
        scored = score(Reliability.of(judge(choices.scores, choices.gold)), choices, 15, draws(choices), seed)
        errors.append((scored.record().ece.value, scored.floor))
    measured, floor = np.mean(errors, axis=0)
    assert measured == pytest.approx(floor, rel=0.15)
    assert floor > 0.03


def test_platt_scaling_is_the_least_loss_and_finite_when_all_is_right():
    choices = simulated(sharpening=2.0)
    confidence = platt(choices, choices, task_weights(choices)).numpy()
    right = (choices.scores.argmax(-1) == choices.gold).numpy()
    assert confidence.mean() == pytest.approx(right.mean(), abs=0.01)  # a logistic regression with an offset
    linear = pytest.importorskip("sklearn.linear_model")
    best = choices.scores.topk(2, -1).values
    margin = (best[:, :1] - best[:, 1:]).numpy()
    theirs = linear.LogisticRegression(C=1e9).fit(margin, right).predict_proba(margin)[:, 1]
    assert confidence == pytest.approx(theirs, abs=0.02)  # but for Platt's targets
    always = Choices(choices.scores, choices.scores.argmax(-1), *_rest(choices))
    assert (platt(always, always, task_weights(always)) < 1).all()


def test_vector_scaling_undoes_a_preference_for_a_place():
    choices = simulated(items=1500, seed=2)
    biased = Choices(choices.scores + torch.tensor([2.0, 0, 0, 0]), choices.gold, *_rest(choices))
    temperature = fit(biased).temperature
    weights = task_weights(biased)
    scaled = vector_scaled(biased, biased, temperature, weights)
    plain = judge(choices.scores, choices.gold).nll.mean()
    assert float(judge(scaled, biased.gold).nll.mean()) == pytest.approx(float(plain), abs=0.01)
    assert float(judge(biased.scores / temperature, biased.gold).nll.mean()) > float(plain) + 0.05
    assert torch.isinf(scaled[biased.scores.isinf()]).all()


def test_tasks_are_judged_at_the_temperature_of_the_others():
    found = calibrated(tasks(a=3.0, b=3.0, c=3.0))
    assert found.answer_temperature.tasks == ["a", "b", "c"]
    assert found.answer_temperature.low < 3 < found.answer_temperature.high
    for name, one in found.tasks.items():
        assert name not in one.fitted_on and len(one.fitted_on) == 2
        assert one.temperature == pytest.approx(3, rel=0.2)
        assert one.ece_change.high < 0 and one.nll_change.high < 0
        assert one.scores["temperature"].accuracy == one.scores["uncalibrated"].accuracy
    assert found.together.items == 1200 and sum(b.count for b in found.together.after) == 1200
    assert {(one.fitted_on, one.judged_on) for one in found.matrix} == {(a, b) for a in "abc" for b in "abc"}


def test_a_temperature_that_does_not_carry_over_is_told():
    found = calibrated(tasks(a=4.0, b=4.0, other=1.0))
    assert found.tasks["other"].ece_change.low > 0
    assert found.tasks["other"].own_temperature == pytest.approx(1, rel=0.2)
    assert found.tasks["other"].temperature == pytest.approx(4, rel=0.2)


def test_fit_on_some_tasks():
    found = calibrated(tasks(a=2.0, b=2.0, other=1.0), fit_on=["a", "b"])
    assert found.answer_temperature.tasks == ["a", "b"] and found.answer_temperature.items == 800
    assert found.tasks["other"].fitted_on == ["a", "b"]
    assert set(found.tasks) == {"other"} and found.together.items == 400 and len(found.matrix) == 9
    assert found.tasks["other"].temperature == pytest.approx(found.answer_temperature.value)


def test_the_same_seed_gives_the_same_record():
    assert calibrated(tasks(a=2.0, b=1.0)) == calibrated(tasks(a=2.0, b=1.0))


def test_the_normalisation_with_the_least_loss_on_other_tasks_is_taken():
    rows = tasks(a=2.0, b=2.0)
    lengths = np.random.default_rng(0).integers(2, 200, 400).tolist()
    by_length = {
        name: answered(Choices(c.scores * torch.tensor(lengths)[:, None], c.gold, *_rest(c)), name, lengths)
        for name, c in ((name, simulated(seed=place, task=name)) for place, name in enumerate("ab"))
    }
    assert calibrated(by_length, normalisation=None).answer_temperature.normalisation == "per_character"
    found = calibrated(rows, normalisation=None)
    assert found.normalisations[found.answer_temperature.normalisation].nll == min(
        one.nll for one in found.normalisations.values()
    )
    assert "unconditional" not in found.normalisations
    with pytest.raises(InputError, match="unconditional"):
        calibrated(rows, normalisation="unconditional")


def test_what_cannot_be_calibrated():
    rows = tasks(a=1.0, b=1.0)
    for answers, options, said in (
        ({"a": rows["a"]}, {}, "1 of the tasks offer choices"),
        (rows, {"fit_on": ["c"]}, "c is not a task"),
        (rows, {"normalisation": "loudness"}, "there is no such normalisation"),
        (rows, {"fit_on": ["a", "b"]}, "none is left to judge"),
        ({"a": rows["a"], "twin": rows["a"]}, {}, "a task of another data set"),
    ):
        with pytest.raises(InputError, match=said):
            calibrated(answers, **options)


def test_a_task_whose_questions_all_others_ask_is_not_judged():
    rows = tasks(a=2.0, b=2.0)
    found = calibrated({"a": rows["a"], "twin": rows["a"], "b": rows["b"]}, fit_on=["a"])
    assert found.not_judged == ["twin"] and set(found.tasks) == {"b"} and found.together.items == 400


def test_items_without_choices_are_counted():
    rows = tasks(a=1.0, b=1.0)
    written = Answer("w", "0", "0", "Say.", [], None, written="something")
    broken = Answer("a", "x", "x", "?", [" 1", " 2"], 0, [float("nan"), -1.0], [1, 1], [1, 1], [2, 2])
    found = calibrated({**rows, "a": [*rows["a"], broken], "w": [written]})
    assert found.left_out == {
        "a choice whose log-likelihood is not finite": 1,
        "not a choice between several answers": 1,
    }
    assert found.together.items == 800 and set(found.tasks) == {"a", "b"}


# The same questions in several tasks

LAYOUTS = (
    "Question: {question}\n A. {a}\n B. {b}\n C. {c}\nAnswer:",
    "Q: {question}\n(A) {a}\n(B) {b}\n(C) {c}\nA:",
    "{question}\n\nA) {a}\nB) {b}\nC) {c}\n\nThe answer is",
    "### Question\n{question}\n\n- A: {a}\n- B: {b}\n- C: {c}\n\n### Answer\n",
    "Tell me: what is two and two?\nAnswer: four\n\nQuestion: {question}\n A. {a}\n B. {b}\n C. {c}\nAnswer:",
)


def asked(prompt: str, texts: Sequence[str], place: int, task: str) -> tuple[str, Answer]:
    said = [f" {text}" for text in texts]
    return task, Answer(task, str(place), str(place), prompt, said, 0, [-1.0] * len(texts))


def questions(task: str, layout: str | None = None, turned: bool = False, count: int = 20) -> list[tuple[str, Answer]]:
    found = []
    for place in range(count):
        texts = [f"thing {place}", f"part {place}", "water"]
        order = [texts[at] for at in ((2, 0, 1) if turned else (0, 1, 2))]
        question = f"What is number {place}?"
        if layout is None:
            found.append(asked(f"Question: {question}\nAnswer:", order, place, task))
        else:
            words = dict(zip("abc", order, strict=True)) | {"question": question}
            found.append(asked(layout.format(**words), "ABC", place, task))
    return found


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_question_is_known_however_it_is_asked(layout: str, turned: bool):
    found = clusters_of([*questions("ranked"), *questions("lettered", layout, turned)])
    assert found[:20].tolist() == found[20:].tolist()
    assert len(set(found[:20])) == 20


def test_a_question_that_a_task_has_twice_is_one():
    twice = [asked(f"Question: What is number {n}?\nAnswer:", ["one", "two", f"{n}"], n + 20, "ranked") for n in (3, 4)]
    found = clusters_of([*questions("ranked"), *twice, *questions("lettered", LAYOUTS[0])]).tolist()
    assert found[20:22] == found[3:5] and found[22:] == found[:20]


def test_what_many_questions_share_makes_none_the_same():
    """Instructions, choices of yes and no, names that are numbers."""
    one = [asked(f"Yes or no?\n\nIs {n} even?\nAnswer:", ["yes", "no"], n, "one") for n in range(10)]
    two = [asked(f"Yes or no?\n\nIs {n + 50} odd?\nAnswer:", ["yes", "no"], n, "two") for n in range(10)]
    assert len(set(clusters_of([*one, *two]))) == 20


def test_shared_items_are_judged_but_not_fitted_on():
    both = tasks(a=2.0, b=2.0)
    twin = [*(replace(one, cluster=f"{one.cluster} of a") for one in both["a"][:100]), *both["b"]]
    found = calibrated({"a": both["a"], "b": twin})
    assert found.tasks["a"].left_out == 100 and found.tasks["a"].items == 400
    cell = {(one.fitted_on, one.judged_on): one for one in found.matrix}["b", "a"]
    assert cell.left_out == 100 and cell.temperature is not None
    choices = by_normalisation(usable({"a": both["a"], "b": twin})[0])["sum"]
    a, b = choices.of_tasks(["a"]), choices.of_tasks(["b"])
    assert not set(b.without(a).cluster.tolist()) & set(a.cluster.tolist()) and len(b.without(a)) == 400
    assert choices.clusters == 800
