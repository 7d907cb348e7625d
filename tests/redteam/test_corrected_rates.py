"""Rates, intervals and their correction, against published values and simulation."""

import numpy as np
import pytest

from altiplano.evaluation.statistics import holm, sign_flip, wilson
from altiplano.records.redteam import DetectorError, LabelledShare
from altiplano.redteam.rates import area_under_curve, corrected_rate, difference, share


def error(sensitivity: tuple[int, int], specificity: tuple[int, int]) -> DetectorError:
    def of(right: int, n: int) -> LabelledShare:
        return share([True] * right + [False] * (n - right))

    return DetectorError(
        name="d", what="", source="", sensitivity=of(*sensitivity), specificity=of(*specificity), has_power=True
    )


def test_intervals_and_tests_equal_published_values():
    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert difference(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)  # Newcombe 1998, table II
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert area_under_curve(np.array([1.0, 2, 3]), np.array([0.0, 2])) == pytest.approx(4.5 / 6)
    assert sign_flip(np.ones(12)) < 0.01
    assert sign_flip(np.array([1.0, -1.0] * 6)) == 1.0


def test_without_errors_the_corrected_rate_is_wilsons():
    assert corrected_rate(81, 263, None).low == pytest.approx(0.2553, abs=1e-4)
    million = error((10**6, 10**6), (10**6, 10**6))
    found = corrected_rate(81, 263, million)
    assert (found.value, found.low, found.high) == pytest.approx((81 / 263, 0.2553, 0.3662), abs=2e-3)


def test_the_point_is_rogan_and_gladens():
    # (0.3 + 0.9 - 1) / (0.8 + 0.9 - 1)
    assert corrected_rate(30, 100, error((80, 100), (90, 100))).value == pytest.approx(0.2 / 0.7)
    assert corrected_rate(0, 100, error((80, 100), (90, 100))).value == 0.0
    assert corrected_rate(100, 100, error((80, 100), (90, 100))).value == 1.0


def test_a_detector_without_power_leaves_everything_open():
    found = corrected_rate(30, 100, error((50, 100), (50, 100)))
    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize(("true", "sensitivity", "specificity"), [(0.02, 0.9, 0.95), (0.2, 0.8, 0.97), (0.5, 0.7, 0.9)])
def test_the_interval_holds_the_true_rate_in_95_of_100_experiments(true, sensitivity, specificity):
    random = np.random.default_rng(0)
    experiments, inside, above = 600, 0, 0
    for _ in range(experiments):
        harmful = random.random(300) < true
        hits = int((random.random(300) < np.where(harmful, sensitivity, 1 - specificity)).sum())
        measured = error((random.binomial(30, sensitivity), 30), (random.binomial(30, specificity), 30))
        found = corrected_rate(hits, 300, measured)
        inside += found.low <= true <= found.high
        above += found.high < true
    assert inside / experiments > 0.92
    assert above / experiments < 0.06  # the gate looks at the upper end
