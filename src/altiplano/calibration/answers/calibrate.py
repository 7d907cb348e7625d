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
from altiplano.calibration.calibration_error import Judged, diagram
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
    """``tasks`` are answers by task. ``fit_on``: tasks to fit on; empty: all. ``normalisation`` None: the one whose NLL
    on tasks left out is least.

    Raises InputError when fewer than two tasks offer choices, or a name is none of theirs.
    """
    kept, left_out = usable(tasks)
    _check(kept, fit_on)
    every = by_normalisation(kept)
    if normalisation is not None and normalisation not in every:
        why = "not every item has it" if normalisation in METRICS else "there is no such normalisation"
        raise InputError(f"{normalisation}: {why}; all items have {', '.join(every)}")
    compared = {name: _normalisation_scores(choices, bins, fit_on) for name, choices in every.items()}
    chosen = normalisation or min(compared, key=lambda name: compared[name].nll)
    choices = every[chosen]
    fitted_on = choices.of_tasks(fit_on) if fit_on else choices
    fitted = fit(fitted_on)
    low, high = interval(fitted_on, samples, seed)
    judging = _Judging(choices, fit_on, bins, samples, seed)
    names = choices.tasks
    judged, matrix = {}, []
    for name in track(names, "tasks", len(names)):
        judged[name], column = judging.task(name)
        matrix += column
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


def _others(choices: Choices, name: str, fit_on: Sequence[str]) -> tuple[Choices, int]:
    """What ``name`` is judged by: items of the other tasks (of ``fit_on``) that it does not have, and how many it has.

    Raises InputError when none is left.
    """
    names = [other for other in (fit_on or choices.tasks) if other != name]
    candidates = choices.of_tasks(names)
    fitted_on = candidates.without(choices.of_tasks([name]))
    if not len(fitted_on):
        raise InputError(
            f"{name} can only be judged by a temperature that was fitted on other questions, and "
            f"{', '.join(names) or 'no task'} has none: evaluate a task of another data set, too"
        )
    return fitted_on, len(candidates) - len(fitted_on)


def _normalisation_scores(choices: Choices, bins: int, fit_on: Sequence[str]) -> NormalisationScores:
    rows = []
    for name in choices.tasks:
        mine = choices.of_tasks([name])
        judged = _judged(mine, fit(_others(choices, name, fit_on)[0]).temperature)
        gaps = sum(b.count * abs(b.accuracy - b.confidence) for b in diagram(judged, bins)) / len(mine)
        rows.append((float(judged.nll.mean()), gaps, float(judged.correct.double().mean())))
    nll, ece, accuracy = np.mean(rows, axis=0).tolist()
    temperature = fit(choices.of_tasks(fit_on) if fit_on else choices).temperature
    return NormalisationScores(temperature=temperature, nll=nll, ece=ece, accuracy=accuracy)


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

    def task(self, name: str) -> tuple[JudgedAnswers, list[CrossTask]]:
        """The task at what was fitted on all others, and on each one."""
        mine = self.alone[name]
        draws = list(resamples(mine, self.samples, self.seed))
        fitted_on, shared = _others(self.choices, name, self.fit_on)
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
        record = self._record(mine, methods, before, after, draws, described)
        return record, [self._cross(other, name, draws) for other in self.alone]

    def together(self) -> JudgedAnswers:
        """All tasks that were judged, each by its own others."""
        found = list(self.found.values())
        return self._record(
            self.choices,
            {method: Reliability.joined([methods[method] for methods, _, _ in found]) for method in METHODS},
            Judged.joined([before for _, before, _ in found]),
            Judged.joined([after for _, _, after in found]),
            list(resamples(self.choices, self.samples, self.seed)),
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

    def _cross(self, one: str, other: str, draws: Sequence[np.ndarray]) -> CrossTask:
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
        scored = score(Reliability.of(judge(scores, mine.gold)), mine, self.bins, draws, self.seed)
        return CrossTask(
            fitted_on=one,
            judged_on=other,
            temperature=temperature,
            left_out=shared,
            ece=scored.interval("ece"),
            nll=scored.interval("nll"),
        )
