"""Fit the temperature on one half of the held-out documents and report on the other."""

from collections.abc import Sequence

import numpy as np
import torch

from altiplano.calibration.calibration_error import expected_calibration_error, summary
from altiplano.calibration.predictions import Judged, Predict, Predictions
from altiplano.calibration.temperature import fit, of_each
from altiplano.calibration.windows import halves
from altiplano.errors import InputError
from altiplano.recipe.schema import CalibrationConfig
from altiplano.records import Calibration, Interval
from altiplano.records.evaluation import DomainTemperature, GroupCalibration, SampleSize
from altiplano.tokens.shards import Shard


def calibrate(
    predict: Predict, shards: Sequence[Shard], context: int, settings: CalibrationConfig, seed: int
) -> Calibration:
    """``shards`` are held-out ones. Raises InputError when they are too few."""
    to_fit, to_test = halves(shards, seed, context, settings.max_tokens)
    if not to_fit or not to_test:
        raise InputError("calibration needs two held-out documents: raise corpus.heldout.fraction or add documents")
    # One half's states after the other's: they are all that takes memory here.
    fitting = predict(to_fit, "fit half")
    temperature, minimum = fit(fitting, seed, settings.bootstrap_samples)
    alone = of_each(fitting, [group.split(".")[0] for group in fitting.groups], minimum)
    fitted_on = SampleSize(documents=fitting.documents, tokens=len(fitting.targets))
    del fitting
    testing = predict(to_test, "test half")
    before, after = testing.judge([1.0, temperature.value])
    low, high = _paired_interval(before, after, testing, seed, settings.bootstrap_samples)
    return Calibration(
        temperature=temperature.value,
        temperature_low=temperature.low,
        temperature_high=temperature.high,
        fit=fitted_on,
        test=SampleSize(documents=testing.documents, tokens=len(testing.targets)),
        before=summary(before, settings.bins),
        after=summary(after, settings.bins),
        nll_gain=Interval(value=float((before.nll - after.nll).double().mean()), low=low, high=high),
        greedy_unchanged=bool((before.likeliest == after.likeliest).all()),
        groups=_by_group(before, after, testing, settings.bins),
        # For information: only the common temperature is deployed.
        domains={domain: DomainTemperature(temperature=value) for domain, value in alone.items()},
    )


def _paired_interval(
    before: Judged, after: Judged, testing: Predictions, seed: int, samples: int
) -> tuple[float, float]:
    """95 % interval, over resampled test documents, of the nats per token that the temperature saves."""
    gains = torch.zeros(testing.documents, dtype=torch.float64)
    gains.index_add_(0, testing.document, (before.nll - after.nll).double())
    tokens = torch.bincount(testing.document, minlength=testing.documents)
    random = np.random.default_rng(seed)
    documents = testing.documents
    weights = random.multinomial(documents, np.full(documents, 1 / documents), size=samples)
    low, high = np.quantile((weights @ gains.numpy()) / (weights @ tokens.numpy()), [0.025, 0.975])
    return float(low), float(high)


def _by_group(before: Judged, after: Judged, testing: Predictions, bins: int) -> dict[str, GroupCalibration]:
    """The one temperature's effect on every domain × language of the test half."""
    names = sorted(set(testing.groups))
    number = torch.tensor([names.index(group) for group in testing.groups])[testing.document]
    table = {}
    for place, name in enumerate(names):
        chosen = number == place
        mine, later = before.of(chosen), after.of(chosen)
        table[name] = GroupCalibration(
            tokens=int(chosen.sum()),
            nll_before=float(mine.nll.double().mean()),
            nll_after=float(later.nll.double().mean()),
            ece_before=expected_calibration_error(mine, bins),
            ece_after=expected_calibration_error(later, bins),
        )
    return table
