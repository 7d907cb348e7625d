"""What a run takes: days, device-hours, electricity, carbon dioxide, money, storage.

Electricity and carbon dioxide of a run: device-hours × watts × PUE × grid factor (Meta's model cards, Llama 3.1).
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from altiplano.records import Grid

CHECKPOINT_BYTES = 14
"""Per parameter: bf16 weights, fp32 master weights and two moments; sizes that NVIDIA published agree within 1 %
(dgxc-benchmarking v25.04: 105, 920 and 204 GiB for 8B, 70B and 15B)."""
TOKEN_BYTES = {True: 2, False: 4}
"""On disk, by whether the vocabulary fits 16 bits."""


@dataclass(frozen=True)
class Bill:
    """Of a whole run. ``kwh_chips``: what the chips draw; ``kwh_site``: whole nodes, with the site's overhead."""

    days: float
    device_hours: float
    kwh_chips: float
    kwh_site: float
    kg_chips: float
    kg_site: float
    dollars: float
    dollars_with_spares: float

    def json(self) -> dict[str, Any]:
        return dict(vars(self))


def bill(
    seconds: float,
    devices: int,
    chip_watts: float,
    node_watts: float,
    pue: float,
    country: str,
    price: float,
    spare: float,
) -> Bill:
    """``seconds`` of wall-clock on ``devices``; ``price`` in US dollars for each device and hour."""
    hours = seconds / 3600 * devices
    chips, site = energy_kwh(hours, chip_watts, 1.0), energy_kwh(hours, node_watts, pue)
    where = grid(country)
    return Bill(
        seconds / 86400,
        hours,
        chips,
        site,
        emissions_kg(chips, where),
        emissions_kg(site, where),
        hours * price,
        hours * price * (1 + spare),
    )


def storage(parameters: int, tokens: int, vocabulary: int, permanent: int, keep: int) -> dict[str, float]:
    """Bytes of one checkpoint, of all permanent ones if none were deleted, of those kept, and of the token files."""
    one = CHECKPOINT_BYTES * parameters
    return {
        "checkpoint": one,
        "all_checkpoints": one * permanent,
        "kept_checkpoints": one * min(keep, permanent),
        "tokens": tokens * TOKEN_BYTES[vocabulary <= 65536],
    }


GRID = Path(__file__).parent / "data" / "grid.csv"


@cache
def grids() -> dict[str, Grid]:
    """The shipped table, by ISO 3166-1 alpha-3 code; ``WORLD`` is the mean."""
    with GRID.open(encoding="utf-8", newline="") as file:
        return {row["country"]: Grid.model_validate(row) for row in csv.DictReader(file)}


def grid(country: str) -> Grid:
    """The grid of ``country``, or the world's mean for a country that is empty or not in the table."""
    return grids().get(country.upper(), grids()["WORLD"])


def energy_kwh(device_hours: float, watts: float, pue: float) -> float:
    """kWh at the meter of the site, for devices that draw ``watts`` each."""
    return device_hours * watts * pue / 1000


def emissions_kg(kwh: float, where: Grid) -> float:
    """kg of CO2 equivalent."""
    return kwh * where.grams_per_kwh / 1000
