"""Failures and checkpoints: the closed forms against simulation, limits, and published figures."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altiplano.planning.plan import failure_rate
from altiplano.planning.reliability import (
    DAY,
    Reliability,
    Tier,
    best_interval,
    ettr,
    job_failure_seconds,
    simulate,
    simulate_tiers,
    tiered_ettr,
    window_survives,
    young,
)

HOUR = 3600.0


@pytest.mark.parametrize("mean", [24.7 * HOUR, 14.4 * HOUR, 6.6 * HOUR])
@pytest.mark.parametrize("interval", [0.25 * HOUR, 1 * HOUR, 6 * HOUR, 25.9 * HOUR])
def test_closed_form_against_monte_carlo(mean: float, interval: float) -> None:
    reliability = Reliability(mean, 60.0, 900.0)
    # As many segments that end without a failure as it takes for a simulation's own error to be a third of a percent.
    work = 4000 * mean * max(1.0, interval / mean) ** 2
    runs = [simulate(interval, reliability, work, seed) for seed in range(4)]
    assert sum(runs) / len(runs) == pytest.approx(ettr(interval, reliability), rel=0.01)


@pytest.mark.parametrize("write", [60.0, 600.0, 1800.0])
def test_checkpoints_that_count_only_once_written_against_monte_carlo(write: float) -> None:
    reliability = Reliability(2 * HOUR, 20.0, 300.0, write)
    runs = [simulate(0.5 * HOUR, reliability, 4000 * 2 * HOUR, seed) for seed in range(4)]
    assert sum(runs) / len(runs) == pytest.approx(ettr(0.5 * HOUR, reliability), rel=0.01)
    assert ettr(0.5 * HOUR, reliability) < ettr(0.5 * HOUR, Reliability(2 * HOUR, 20.0, 300.0))


@pytest.mark.parametrize("covers", [0.5, 0.8, 1.0])
def test_tiers_against_monte_carlo(covers: float) -> None:
    fast, slow = Tier(466.0, 0.5, 120.0, covers), Tier(1800.0, 5.0, 600.0)
    simulated = simulate_tiers(fast, slow, 14.4 * HOUR, 3000 * 14.4 * HOUR)
    assert tiered_ettr(fast, slow, 14.4 * HOUR) == pytest.approx(simulated, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(st.floats(600, 1e6), st.floats(0.1, 600), st.floats(1, 7200))
def test_the_best_interval_is_best_and_near_young(mean: float, save: float, restart: float) -> None:
    reliability = Reliability(mean, save, restart)
    best = best_interval(reliability)
    top = ettr(best, reliability)
    assert all(ettr(best * factor, reliability) <= top * (1 + 1e-9) for factor in (0.5, 0.9, 1.1, 2.0))
    if save < mean / 200:
        assert best == pytest.approx(young(reliability), rel=0.12)


@settings(max_examples=60, deadline=None)
@given(st.floats(60, 1e5), st.floats(3600, 1e6), st.floats(0, 600), st.floats(0, 7200))
def test_share_lies_between_none_and_all_and_falls_with_failures(
    interval: float, mean: float, save: float, restart: float
) -> None:
    often, seldom = (ettr(interval, Reliability(m, save, restart)) for m in (mean, 2 * mean))
    never = ettr(interval, Reliability(math.inf, save, restart))
    assert 0 <= often <= seldom <= never <= 1


def test_published_failure_rates() -> None:
    """RSC-1: 1.8 h between failures of 16,384 GPUs and 0.23 h of 131,072 (arXiv 2410.21680). Llama 3: 419 in 54 d."""
    rsc = failure_rate("rsc-1")
    assert job_failure_seconds(16384, rsc) / HOUR == pytest.approx(1.8, rel=0.03)
    assert job_failure_seconds(131072, rsc) / HOUR == pytest.approx(0.23, rel=0.03)
    assert 54 * DAY / job_failure_seconds(16384, failure_rate("llama-3")) == pytest.approx(419, rel=1e-3)


def test_the_source_recipes_cadence() -> None:
    """Survey figures at 46.6 s a step: 2,000 steps go forward 56 % of the time, the optimum is 69 steps at 95.4 %."""
    reliability = Reliability(job_failure_seconds(2048, failure_rate("llama-3")), 60.0, 900.0)
    assert ettr(2000 * 46.6, reliability) == pytest.approx(0.560, abs=0.002)
    assert best_interval(reliability) / 46.6 == pytest.approx(69, abs=1)
    assert ettr(best_interval(reliability), reliability) == pytest.approx(0.954, abs=0.001)
    assert window_survives(2000 * 46.6, reliability) == pytest.approx(0.35, abs=0.01)
