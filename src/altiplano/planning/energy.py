"""Electricity and carbon dioxide of a run: device-hours × watts × PUE × grid factor (Meta's model cards, Llama 3.1)."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

GRID = Path(__file__).parent / "data" / "grid.csv"


@dataclass(frozen=True)
class Grid:
    """Mean carbon intensity of a country's electricity, location-based."""

    country: str
    name: str
    grams_per_kwh: float
    year: int
    source: str


@cache
def grids() -> dict[str, Grid]:
    """The shipped table, by ISO 3166-1 alpha-3 code; ``WORLD`` is the mean."""
    with GRID.open(encoding="utf-8", newline="") as file:
        return {
            row["country"]: Grid(
                row["country"], row["name"], float(row["grams_per_kwh"]), int(row["year"]), row["source"]
            )
            for row in csv.DictReader(file)
        }


def grid(country: str) -> Grid:
    """The grid of ``country``, or the world's mean for a country that is empty or not in the table."""
    return grids().get(country.upper(), grids()["WORLD"])


def energy_kwh(device_hours: float, watts: float, pue: float) -> float:
    """kWh at the meter of the site, for devices that draw ``watts`` each."""
    return device_hours * watts * pue / 1000


def emissions_kg(kwh: float, where: Grid) -> float:
    """kg of CO2 equivalent."""
    return kwh * where.grams_per_kwh / 1000
