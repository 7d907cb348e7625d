"""The power of the red team as a table on the terminal."""

from rich.table import Table

from altiplano.records.power import RedteamPower, Share


def power_table(power: RedteamPower) -> Table:
    """One row a test: alarms among trainings with the defect, by dose, and among clean twins."""
    table = Table(
        title=f"Power of the red team's tests, at p ≤ {power.level:g}",
        caption=f"models of {power.parameters:,} parameters, about {power.tokens:,} tokens read {power.epochs} times; "
        f"seeds {', '.join(map(str, power.seeds))}; 95 % intervals; measured {power.date}",
    )
    table.add_column("test")
    table.add_column("doses")
    for dose in power.tests[0].doses:
        table.add_column(dose.dose, justify="right")
    table.add_column("false alarms", justify="right")
    for test in power.tests:
        amounts = " / ".join(f"{dose.amount:,}" for dose in test.doses)
        shares = [share_text(dose.found) for dose in test.doses]
        table.add_row(test.test, f"{amounts} {test.unit}", *shares, share_text(test.clean))
    return table


def share_text(share: Share) -> str:
    return f"{share.alarms} of {share.n} ({share.low:.0%} to {share.high:.0%})"
