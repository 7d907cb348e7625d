"""Scales, ticks and curves at their edges."""

import math
import re
from itertools import pairwise

import pytest

from altiplano.report.charts.bars import Bar, bar_chart, funnel_chart, reliability_chart
from altiplano.report.charts.lines import Curve, line_chart, smoothed, thin
from altiplano.report.charts.scale import log_ticks, nice_ticks, scale, tick_label
from altiplano.report.charts.svg import spread


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1.9, 6.7), (-0.03, 0.08), (0, 3e-3), (1e6, 9e12), (5, 5.0001)])
def test_linear_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 3 <= len(ticks) <= 9
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    step = ticks[1] - ticks[0]
    assert step / 10 ** math.floor(math.log10(step) + 1e-9) == pytest.approx(
        round(step / 10 ** math.floor(math.log10(step) + 1e-9)), rel=1e-3
    )


@pytest.mark.parametrize(("low", "high"), [(2.1, 6.7), (1.2, 1.9), (1e-4, 0.9), (1, 1e12), (0.3, 45)])
def test_logarithmic_ticks(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 1 <= len(ticks) <= 9
    assert all(low <= tick <= high for tick in ticks)


def test_tick_labels() -> None:
    assert [tick_label(v) for v in (0, 3e-4, 0.002, 2.5, 100, 20_000, 1.5e12)] == [
        "0",
        "3e-4",
        "0.002",
        "2.5",
        "100",
        "20k",
        "1.5T",
    ]


def test_scales_of_nothing_and_of_one_value() -> None:
    assert scale([], 0, 100)(0.5) == 50
    one = scale([3.0, math.nan], 0, 100)
    assert one(3.0) == pytest.approx(50)
    assert scale([0, -1], 0, 1, log=True).low == 1  # nothing that has a logarithm


def test_a_spike_outlives_thinning() -> None:
    y = [1.0] * 100_000
    y[77_777] = 9.0
    line = thin(Curve("", list(range(100_000)), y))
    assert len(line.x) <= 602 and max(line.y) == 9.0 and line.x[-1] == 99_999


def test_smoothing_passes_over_what_is_not_a_number() -> None:
    assert smoothed([1, math.nan, 3, 3, 3], 1) == [1, 2, 3, 3, 3]
    assert math.isnan(smoothed([math.nan], 5)[0])
    line = [float(n) for n in range(100)]
    assert smoothed(line, 7)[:93] == pytest.approx(line[:93])  # no lag


def test_curves_break_at_what_is_not_a_number() -> None:
    svg = line_chart("t", [Curve("a", [1, 2, 3, 4, 5, 6], [1, 2, math.nan, 2, math.inf, 1])])
    assert svg.count("M") >= 1 and "nan" not in svg and "inf" not in svg
    assert "<circle" in line_chart("t", [Curve("a", [1], [5.0])])
    assert line_chart("t", [Curve("a", [1], [math.nan])]) == ""
    assert line_chart("t", [Curve("a", [1], [-1.0])], log=True) == ""


def test_labels_do_not_touch_and_stay_inside() -> None:
    moved = spread([100.0, 101.0, 102.0, 30.0, 299.0, 300.0], 19, 0, 300)
    ordered = sorted(moved)
    assert all(b - a >= 18.999 for a, b in pairwise(ordered))
    assert min(moved) >= 0 and max(moved) <= 300.001
    assert moved[3] == 30


def test_empty_charts_are_no_charts() -> None:
    assert bar_chart("t", []) == funnel_chart("t", []) == reliability_chart("t", [], 0) == ""
    assert "<rect" in bar_chart("t", [Bar("zero", 0, "0")])


def test_a_funnel_stays_between_its_labels_even_when_a_step_grows():
    """Text may take more bytes than its raw file did, and audits of old counted pieces against whole documents."""
    steps = [Bar("read", 1023, "1,023 · 100 %"), Bar("extracted", 1199, "1,199 · 117 %"), Bar("kept", 10, "10 · 1 %")]
    svg = funnel_chart("t", steps)
    bars = [
        (float(x), float(width)) for x, width in re.findall(r'<rect x="([\d.-]+)" y="[\d.]+" width="([\d.]+)"', svg)
    ]
    values = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="[\d.]+" class="value"', svg)]
    names = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="end"', svg)]
    assert len(bars) == len(values) == len(names) == 3
    assert all(names[0] < x and x + width < values[0] for x, width in bars)
    assert funnel_chart("t", [Bar("read", 0, "0"), Bar("extracted", 5, "5")]) and not funnel_chart(
        "t", [Bar("a", 0, "0")]
    )
