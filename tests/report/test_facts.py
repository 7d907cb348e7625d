"""Facts are measured; their arithmetic is right; statements stay apart."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from altiplano.formatting import carbon, duration, energy, number
from altiplano.planning.cost import emissions_kg, energy_kwh, grid, grids
from altiplano.recipe.cluster import Cluster
from altiplano.records import RunFacts, TrainingSummary
from altiplano.records.run_records import read_records
from altiplano.report.fact_table import fact_rows
from altiplano.report.facts import device_count, run_facts


def test_energy_of_the_published_405b() -> None:
    # Llama 3.1's model card: 30.84M GPU-hours at 700 W, 8,930 t location-based; US grid 369 g/kWh, PUE 1.1 (planning).
    kwh = energy_kwh(30.84e6, 700, 1.1)
    assert kwh == pytest.approx(23.75e6, rel=1e-3)
    assert emissions_kg(kwh, grid("USA")) / 1000 == pytest.approx(8930, rel=0.03)


def test_grid_table_is_dated_and_sourced() -> None:
    assert len(grids()) > 20
    assert all(entry.source and entry.year == 2023 and 0 < entry.grams_per_kwh < 1000 for entry in grids().values())
    assert grid("fra").grams_per_kwh == 56 and grid("").country == grid("XXX").country == "WORLD"


def test_facts_of_a_run(make_run: Callable[..., Path], cluster: Cluster) -> None:
    facts = run_facts(read_records(make_run()), cluster)
    # Two ranks on one CPU for an hour are one device-hour; five other stages took 42 + 9.5 + 3 × 12.25 seconds.
    assert (facts.devices, facts.ranks, facts.device_hours) == (1, 2, 1.0)
    assert facts.run_device_hours == pytest.approx(1 + 88.25 / 3600)
    assert facts.energy_kwh == pytest.approx(0.045 * 1.2)
    assert facts.co2_kg == pytest.approx(0.054 * 0.056)
    assert (facts.country, facts.country_is_stated, facts.year) == ("FRA", False, 2026)
    assert facts.training_started == "2026-11-23T02:00:00+00:00" and facts.ended == "2026-11-23T05:40:00+00:00"
    assert RunFacts.model_validate(facts.as_json()) == facts


def test_statements_never_pass_for_measurements(make_run: Callable[..., Path], cluster: Cluster) -> None:
    here = cluster.model_copy(update={"country": ""})
    facts = run_facts(read_records(make_run()), here)
    assert facts.country == "USA" and facts.country_is_stated
    rows = {row.what: row for row in fact_rows(facts)}
    assert (rows["Place"].measured, rows["Place"].stated) == ("not stated", "USA")
    assert (rows["Devices"].measured, rows["Devices"].stated) == ("1 shared by 2 processes", "2,048")
    assert rows["Training device-hours"].stated == "50M"
    assert "the place that the document states" in rows["Grid"].measured


def test_facts_of_a_partial_run_say_what_is_missing(make_run: Callable[..., Path]) -> None:
    facts = run_facts(read_records(make_run(("curate",))))
    assert facts.energy_kwh is facts.parameters is facts.device_hours is None
    assert {row.measured for row in fact_rows(facts) if row.what.startswith(("Energy", "Param"))} == {"not stated"}


def test_devices() -> None:
    run = TrainingSummary(
        parameters=1, tokens=1, steps=1, world_size=2048, layout="dp2048", device="cuda", seconds=1.0, restarts=0
    )
    assert device_count(run, None) == 2048
    assert device_count(run.model_copy(update={"world_size": 8, "device": "cpu"}), None) == 1
    assert device_count(None, None) is None


def test_wording() -> None:
    assert [duration(s) for s in (0.44, 59.6, 60, 125, 3600, 100_000, None)] == [
        "0.4 s",
        "1 min",
        "1 min",
        "2 min 5 s",
        "1 h",
        "1 d 3 h",
        "not stated",
    ]
    assert [number(n) for n in (1234567, 0.00123456, 2.0, float("nan"))] == [
        "1,234,567",
        "0.00123",
        "2",
        "not a number",
    ]
    assert energy(0.0553) == "55.3 Wh" and energy(21.6e6) == "21.6 GWh" and carbon(8.93e6) == "8,930 t"


def test_forgotten_documents_are_told(make_run: Callable[..., Path], cluster: Cluster) -> None:
    records = read_records(make_run())
    assert records.recipe is not None
    assert not any("forgotten" in row.what for row in fact_rows(run_facts(records, cluster)))
    recipe = records.recipe.model_copy(update={"forget": ("web.en:1:ab", "web.en:2:cd")})
    rows = fact_rows(run_facts(replace(records, recipe=recipe), cluster))
    assert [row.measured for row in rows if "forgotten" in row.what] == ["2"]
