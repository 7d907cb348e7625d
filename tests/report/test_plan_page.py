"""The plan's HTML page: all charts, well-formed, nothing asked of other places; the pipeline's timeline is right."""

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from altiplano.cli import run
from altiplano.planning.case import Case, Parallelism
from altiplano.planning.model_size import Shape
from altiplano.report.charts.plan_charts import Part, schedule, stacked_chart, timeline_chart, waterfall_chart


def test_the_page_has_all_charts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "plan.html"
    assert run(["plan", "llama-3.1-405b", "--cluster", "h100-2048", "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    for title in (
        "Memory of each pipeline rank",
        "Layouts",
        "A step, by what it is spent on",
        "The pipeline",
        "Productive time",
        "Days of training",
    ):
        assert title in text, title
    charts = re.findall(r"<svg viewBox=\"0 0 520.*?</svg>", text, re.DOTALL)
    assert len(charts) == 6
    for chart in charts:
        assert len(list(ElementTree.fromstring(chart).iter())) > 10
    assert "178% of the peak" in text and "device-hours = 31.8M" in text
    # Eleven findings, of which six cannot be true: the rest are unusual or rounded.
    assert '<dt>cannot be true</dt><dd class="bad">6<small>' in text
    assert not re.search(r"""(?:src|href)=["']?https?://""", text)


def test_a_single_device_has_a_page_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "plan.html"
    assert run(["plan", "quickstart", "--html", str(page)]) == 0
    assert "Nothing that is stated contradicts this plan" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("ranks", "count"), [(2, 4), (4, 8), (8, 12)])
def test_one_forward_one_backward_takes_as_long_as_the_formula_says(ranks: int, count: int) -> None:
    """(micro-batches + ranks - 1) × (forward + backward), and a rank never does two things at once."""
    begun, ended = schedule(ranks, count, 1.0, 2.0)
    assert max(ended.values()) == pytest.approx((count + ranks - 1) * 3.0)
    assert len(begun) == 2 * ranks * count
    for rank in range(ranks):
        times = sorted((begun[key], ended[key]) for key in begun if key[0] == rank)
        assert all(first[1] <= second[0] + 1e-9 for first, second in pairwise(times))
        for number in range(count):
            assert begun[rank, number, 1] >= ended[rank, number, 0]
            if rank:
                assert begun[rank, number, 0] >= ended[rank - 1, number, 0]


def test_bars_add_up() -> None:
    rows = [("rank 0", [Part("weights", 3.0, 0), Part("logits", 1.5, 1)])]
    assert ">4.5<" in stacked_chart("Memory", rows, 8.0, "GiB")
    assert "4.5 s" in waterfall_chart("Step", rows[0][1], "s")
    case = Case(Shape(32, 64, 4, 4, 128, 1000), 128, 64, Parallelism(pp=4))
    assert timeline_chart("Pipeline", case, 1.0, 2.0).count("<rect") == 2 * 4 * 12


def test_phases_have_a_table(tmp_path: Path) -> None:
    page, phase = tmp_path / "plan.html", "phases=[{name='long', total_tokens='1B', learning_rate=1e-5}]"
    assert run(["plan", "llama-3.1-8b", "--cluster", "h100-8", "--set", phase, "--html", str(page)]) == 0
    text = page.read_text()
    assert text.count("<h2>Phases</h2>") == 1 and "<th>long</th>" in text and "<b>together:</b>" in text
