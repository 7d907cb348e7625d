"""What is stated beside published models of the size: learning rate, devices, device-hours and their energy."""

from collections.abc import Iterator
from dataclasses import dataclass

from altiplano.planning.consistency.claims import LIMIT, Claims, Finding, published_twin, same_hardware, usual
from altiplano.planning.cost import bill
from altiplano.planning.plan import Plan
from altiplano.planning.stacks import table
from altiplano.recipe.units import figure, human


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
            also = f"; {figure(claims.learning_rate)} is that of {', '.join(same)}" if same else ""
            yield Finding(
                "learning-rate",
                ("learning_rate", "parameters"),
                "learning_rate",
                rate,
                claims.learning_rate,
                "unusual",
                f"{twin[0]} was trained with a peak learning rate of {figure(rate)}"
                f" ({twin[1]['source']}), not {figure(claims.learning_rate)}{also}",
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
            f"learning rate of about {figure(usual_rate)}, not {figure(claims.learning_rate)}",
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
    if twin is None or "device_hours" not in twin[1] or claims.device_hours is None or not same_hardware(plan):
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
        f"{claims.spelled_hours} device-hours would be {whole.kwh_chips / 1e6:.0f} GWh of the chips alone and "
        f"{whole.kwh_site / 1e6:.0f} at the site, {whole.kg_chips / 1e6:,.0f} to {whole.kg_site / 1e6:,.0f} kt CO2; "
        f"{name} was trained with {human(entry['device_hours'])}, "
        f"{f'{factor:.1f} times less' if factor > 1 else f'{1 / factor:.1f} times as many'} ({entry['source']})"
    )
    yield Finding(
        "energy",
        ("device_hours",),
        "device_hours",
        entry["device_hours"],
        claims.device_hours,
        "" if claims.agrees_with(entry["device_hours"]) else "unusual",
        text,
    )


@dataclass(frozen=True)
class Published:
    """The device-hours of a published run of such a model; ``scaled_hours``: for the recipe's number of tokens."""

    name: str
    device_hours: float
    tokens: float
    hardware: str
    source: str
    scaled_hours: float


def published(plan: Plan) -> Published | None:
    """None where no run of the model's size published its device-hours."""
    twin = published_twin(plan.case.shape.parameters)
    if twin is None or "device_hours" not in twin[1]:
        return None
    name, entry = twin
    scaled = entry["device_hours"] * plan.recipe.batch.total_tokens / entry["tokens"]
    return Published(name, entry["device_hours"], entry["tokens"], entry["hardware"], entry["source"], scaled)
