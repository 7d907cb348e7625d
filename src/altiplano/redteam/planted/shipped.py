"""The power of the tests as it was measured for this version, to be told beside each verdict."""

from pathlib import Path

from altiplano.records.power import PrintedPower, RedteamPower

SHIPPED = Path(__file__).with_name("power.json")
"""As ``altiplano power`` wrote it."""


def printed_power(test: str) -> PrintedPower | None:
    """At the middle dose; None of a test whose power was not measured."""
    shipped = RedteamPower.read(SHIPPED)
    for one in shipped.tests:
        middle = next((dose for dose in one.doses if dose.dose == "middle"), None)
        if one.test == test and middle is not None:
            amount = f"{middle.amount} {one.unit}"
            return PrintedPower(amount=amount, found=middle.found, clean=one.clean, parameters=shipped.parameters)
    return None
