"""What is stated beside published models of the size: learning rate, devices, device-hours and their energy."""

from collections.abc import Iterator

from altiplano.planning.claims import Claims, published_twin, usual
from altiplano.planning.cost import bill
from altiplano.planning.finding import LIMIT, Finding, verdict
from altiplano.planning.plan import Plan
from altiplano.planning.stack import table
from altiplano.recipe.units import human


def practice(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """Learning rate and devices beside published runs of this size."""
    counted = plan.case.shape.parameters
    twin = published_twin(counted)
    usual_rate, within = usual("learning_rate", counted)
    if twin and "learning_rate" in twin[1]:
        rate = twin[1]["learning_rate"]
        factor = max(claims.learning_rate / rate, rate / claims.learning_rate)
        if factor > 1.1:
            same = [name for name, e in table("practice").items() if e.get("learning_rate") == claims.learning_rate]
            also = f"; {claims.learning_rate:g} is that of {', '.join(same)}" if same else ""
            yield Finding(
                "learning-rate",
                ("learning_rate", "parameters"),
                "learning_rate",
                rate,
                claims.learning_rate,
                "unusual",
                f"{twin[0]} was trained with a peak learning rate of {rate:g}"
                f" ({twin[1]['source']}), not {claims.learning_rate:g}{also}",
            )
    elif max(claims.learning_rate / usual_rate, usual_rate / claims.learning_rate) > 2 * within and counted > 1e8:
        yield Finding(
            "learning-rate",
            ("learning_rate", "parameters"),
            "learning_rate",
            usual_rate,
            claims.learning_rate,
            "unusual",
            f"published models of {human(counted)} parameters have a peak "
            f"learning rate of about {usual_rate:.2g}, not {claims.learning_rate:g}",
        )
    if twin and claims.devices and "devices" in twin[1]:
        factor = twin[1]["devices"] / claims.devices
        if max(factor, 1 / factor) > LIMIT:
            days = twin[1].get("device_hours", 0) / twin[1]["devices"] / 24
            yield Finding(
                "devices",
                ("devices", "parameters"),
                "devices",
                twin[1]["devices"],
                claims.devices,
                "unusual",
                f"{twin[0]} was trained on up to {twin[1]['devices']:,} devices, {days:.0f} days' "
                f"worth of them ({twin[1]['source']}), not {claims.devices:,.0f}",
            )


def hours(plan: Plan, claims: Claims) -> Iterator[Finding]:
    twin = published_twin(plan.case.shape.parameters)
    if twin is None or "device_hours" not in twin[1] or claims.device_hours is None:
        return
    name, entry = twin
    if not 1 / LIMIT < claims.tokens / entry["tokens"] < LIMIT:
        return
    factor = claims.device_hours / entry["device_hours"]
    cluster = plan.cluster
    whole = bill(
        claims.device_hours * 3600,
        1,
        plan.chip.chip_watts,
        cluster.watts_per_device,
        cluster.pue,
        cluster.country or plan.recipe.disclosure.country,
        1.0,
        0.0,
    )
    text = (
        f"{human(claims.device_hours)} device-hours would be {whole.kwh_chips / 1e6:.0f} GWh of the chips alone and "
        f"{whole.kwh_site / 1e6:.0f} at the site, {whole.kg_chips / 1e6:,.0f} to {whole.kg_site / 1e6:,.0f} kt CO2; "
        f"{name} was trained with {human(entry['device_hours'])}, {factor:.1f} times less ({entry['source']})"
    )
    yield Finding(
        "energy",
        ("device_hours",),
        "device_hours",
        entry["device_hours"],
        claims.device_hours,
        verdict(max(factor, 1 / factor)),
        text,
    )
