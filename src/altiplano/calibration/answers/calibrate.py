"""Fit an answer temperature on tasks, and judge every task by what was fitted on the others.

What is deployed is fitted on all tasks; how it does on a task that it has not seen is what the leave-one-task-out
figures say. The items of a judged task are never fitted on, in whatever other task they are asked, too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from altiplano.benchmarks.answers import Answer
from altiplano.calibration.answers.alternatives import platt, vector_scaled
from altiplano.calibration.answers.choices import METRICS, Choices, by_normalisation, usable
from altiplano.calibration.answers.reliability import Reliability, risk_coverage, score
from altiplano.calibration.answers.temperature import fit, interval, judge, resamples, task_weights
from altiplano.calibration.calibration_error import diagram, expected_calibration_error
from altiplano.calibration.predictions import Judged
from altiplano.errors import InputError
from altiplano.progress import track
from altiplano.records import AnswerCalibration, AnswerTemperature, CrossTask, JudgedAnswers, NormalisationScores

FILE = "answer_calibration.json"
METHODS = ("uncalibrated", "temperature", "platt", "vector")


def calibrate_answers(
    tasks: Mapping[str, Sequence[Answer]],
    *,
    bins: int,
    samples: int,
    seed: int,
    model: str = "",
    fingerprint: str = "",
    normalisation: str | None = None,
    fit_on: Sequence[str] = (),
) -> AnswerCalibration:
    """``tasks`` are answers by task. ``fit_on``: tasks to fit on, the others are judged; empty: all, each judged by the
    others. ``normalisation`` None: the one whose NLL is least when each fitted task is judged by the other fitted ones.

    Raises InputError when fewer than two tasks offer choices, a name is none of theirs, or no task is left to judge.
    """
    kept, left_out = usable(tasks)
    _check(kept, fit_on)
    every = by_normalisation(kept)
    if normalisation is not None and normalisation not in every:
        why = "not every item has it" if normalisation in METRICS else "there is no such normalisation"
        raise InputError(f"{normalisation}: {why}; all items have {', '.join(every)}")
    chosen_on = {name: one.of_tasks(fit_on) if fit_on else one for name, one in every.items()}
    compared = {name: _normalisation_scores(one, bins) for name, one in chosen_on.items()}
    chosen = normalisation or min(compared, key=lambda name: compared[name].nll)
    choices = every[chosen]
    fitted_on = chosen_on[chosen]
    fitted = fit(fitted_on)
    low, high = interval(fitted_on, samples, seed)
    judging = _Judging(choices, fit_on, bins, samples, seed)
    judged: dict[str, JudgedAnswers] = {}
    matrix: list[CrossTask] = []
    for name in track(choices.tasks, "tasks", len(choices.tasks)):
        draws = list(resamples(judging.alone[name], samples, seed))
        if name not in fit_on:
            judged |= judging.task(name, draws)
        matrix += [judging.cross(other, name, draws) for other in choices.tasks]
    if not judged:
        raise InputError(
            "the tasks ask the same questions, and an answer temperature is judged on questions that it was not fitted "
            "on: evaluate a task of another data set, too"
        )
    return AnswerCalibration(
        model=model,
        fingerprint=fingerprint,
        answer_temperature=AnswerTemperature(
            value=fitted.temperature,
            low=low,
            high=high,
            at_bound=fitted.at_bound,
            normalisation=chosen,
            tasks=fitted_on.tasks,
            items=len(fitted_on),
            clusters=fitted_on.clusters,
        ),
        bins=bins,
        together=judging.together(),
        not_judged=[name for name in choices.tasks if name not in judged and name not in fit_on],
        tasks=judged,
        matrix=matrix,
        normalisations=compared,
        left_out=left_out,
    )


def _check(kept: Mapping[str, Sequence[Answer]], fit_on: Sequence[str]) -> None:
    if len(kept) < 2:
        raise InputError(
            f"{len(kept)} of the tasks offer choices: an answer temperature is fitted on tasks and judged on others, "
            "so evaluate two or more (of style ranked or lettered)"
        )
    for name in fit_on:
        if name not in kept:
            raise InputError(f"{name} is not a task that offers choices here; there are {', '.join(sorted(kept))}")
    if set(fit_on) >= set(kept):
        raise InputError(
            "every task is fitted on, and none is left to judge: name fewer, or none to judge each by others"
        )


def _others(choices: Choices, name: str, fit_on: Sequence[str]) -> tuple[Choices, int]:
    """What ``name`` is judged by: items of the other tasks (of ``fit_on``) whose cluster it has no item of; and how
    many were left out because it has."""
    candidates = choices.of_tasks(other for other in (fit_on or choices.tasks) if other != name)
    fitted_on = candidates.without(choices.of_tasks([name]))
    return fitted_on, len(candidates) - len(fitted_on)


def _normalisation_scores(choices: Choices, bins: int) -> NormalisationScores:
    """Of the tasks that are fitted on: each at the temperature of the rest, one alone at its own."""
    rows = []
    for name in choices.tasks:
        mine = choices.of_tasks([name])
        rest = choices.without(mine)
        judged = _judged(mine, fit(rest if len(rest) else mine).temperature)
        accuracy = float(judged.correct.double().mean())
        rows.append((float(judged.nll.mean()), expected_calibration_error(judged, bins), accuracy))
    nll, ece, accuracy = np.mean(rows, axis=0).tolist()
    return NormalisationScores(temperature=fit(choices).temperature, nll=nll, ece=ece, accuracy=accuracy)


def _judged(choices: Choices, temperature: float) -> Judged:
    return judge(choices.scores / temperature, choices.gold)


class _Judging:
    """Tasks judged by others, with what all of them share."""

    def __init__(self, choices: Choices, fit_on: Sequence[str], bins: int, samples: int, seed: int):
        self.choices, self.fit_on = choices, fit_on
        self.bins, self.samples, self.seed = bins, samples, seed
        self.alone = {name: choices.of_tasks([name]) for name in choices.tasks}
        self.own = {name: fit(mine).temperature for name, mine in self.alone.items()}
        self.found: dict[str, tuple[dict[str, Reliability], Judged, Judged]] = {}
        """Of each task: probabilities by method, and at temperature 1 and the fitted one."""

    def task(self, name: str, draws: Sequence[np.ndarray]) -> dict[str, JudgedAnswers]:
        """The task at what was fitted on the others; nothing where they ask the same questions. ``draws`` are of its
        own items."""
        mine = self.alone[name]
        fitted_on, shared = _others(self.choices, name, self.fit_on)
        if not len(fitted_on):
            return {}
        temperature = fit(fitted_on).temperature
        weights = task_weights(fitted_on)
        before, after = _judged(mine, 1.0), _judged(mine, temperature)
        correct = before.correct.double().numpy()
        methods = {
            "uncalibrated": Reliability.of(before),
            "temperature": Reliability.of(after),
            "platt": Reliability(platt(fitted_on, mine, weights).numpy(), correct),
            "vector": Reliability.of(judge(vector_scaled(fitted_on, mine, temperature, weights), mine.gold)),
        }
        self.found[name] = (methods, before, after)
        described = {
            "fitted_on": fitted_on.tasks,
            "temperature": temperature,
            "own_temperature": self.own[name],
            "left_out": shared,
        }
        return {name: self._record(mine, methods, before, after, draws, described)}

    def together(self) -> JudgedAnswers:
        """All tasks that were judged, each by its own others."""
        found, judged = list(self.found.values()), self.choices.of_tasks(self.found)
        return self._record(
            judged,
            {method: Reliability.joined([methods[method] for methods, _, _ in found]) for method in METHODS},
            Judged.joined([before for _, before, _ in found]),
            Judged.joined([after for _, _, after in found]),
            list(resamples(judged, self.samples, self.seed)),
            {"fitted_on": [], "left_out": 0},
        )

    def _record(
        self,
        choices: Choices,
        methods: Mapping[str, Reliability],
        before: Judged,
        after: Judged,
        draws: Sequence[np.ndarray],
        described: Mapping[str, object],
    ) -> JudgedAnswers:
        scored = {name: score(one, choices, self.bins, draws, self.seed) for name, one in methods.items()}
        first, second = scored["uncalibrated"], scored["temperature"]
        return JudgedAnswers.model_validate(
            {
                **described,
                "items": len(choices),
                "clusters": choices.clusters,
                "scores": {name: one.record() for name, one in scored.items()},
                "ece_change": second.change(first, "ece"),
                "nll_change": second.change(first, "nll"),
                "before": diagram(before, self.bins),
                "after": diagram(after, self.bins),
                "risk_coverage": risk_coverage(methods["temperature"]),
            }
        )

    def cross(self, one: str, other: str, draws: Sequence[np.ndarray]) -> CrossTask:
        """Fitted on ``one``, judged on ``other``; of one task alone, each half of its clusters at the other half's."""
        mine, shared = self.alone[other], 0
        scores, temperature = mine.scores.clone(), self.own[one]
        if one == other:
            numbers = np.random.default_rng(self.seed).permutation(np.unique(mine.cluster))
            half = np.isin(mine.cluster, numbers[: len(numbers) // 2])
            apart = mine if len(numbers) > 1 else mine.of(half)
            for part in (half, ~half) if len(apart) else ():
                scores[torch.from_numpy(part)] /= fit(mine.of(~part)).temperature
        else:
            apart = self.alone[one].without(mine)
            shared = len(self.alone[one]) - len(apart)
            if shared and len(apart):
                temperature = fit(apart).temperature
            scores /= temperature
        if not len(apart):
            return CrossTask(fitted_on=one, judged_on=other, temperature=None, left_out=shared)
        before, scored = (
            score(Reliability.of(judge(one, mine.gold)), mine, self.bins, draws, self.seed)
            for one in (mine.scores, scores)
        )
        return CrossTask(
            fitted_on=one,
            judged_on=other,
            temperature=temperature,
            left_out=shared,
            ece_before=before.interval("ece"),
            ece=scored.interval("ece"),
            nll=scored.interval("nll"),
        )
