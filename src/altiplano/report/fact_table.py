"""The facts of a run as rows: what was measured, and beside it what the document states."""

from dataclasses import dataclass
from typing import Any

from altiplano.formatting import MISSING, carbon, duration, energy, flops, number, percent
from altiplano.recipe.units import human, human_bytes
from altiplano.records import RunFacts


@dataclass(frozen=True)
class FactRow:
    what: str
    measured: str
    stated: str = ""


def fact_rows(facts: RunFacts) -> list[FactRow]:
    """Every fact that has a measurement or a statement, in reading order."""
    stated = facts.stated
    months = stated.get("months")
    return [
        FactRow("Parameters", number(facts.parameters), _count(stated.get("parameters"))),
        FactRow("Training tokens", number(facts.tokens), _count(stated.get("tokens"))),
        FactRow("Optimizer steps", number(facts.steps)),
        *([FactRow("Phases of training", _phases(facts))] if facts.phases else []),
        *([FactRow("Weights", _averaged(facts))] if facts.averaged_steps else []),
        FactRow("Tokens per step", _tokens_per_step(facts), _count(stated.get("batch_tokens"))),
        FactRow("Hardware", facts.device_name or facts.device or MISSING, str(stated.get("hardware", ""))),
        FactRow("Devices", _devices(facts), _count(stated.get("devices"))),
        FactRow("Layout", facts.layout or MISSING),
        *([FactRow("Documents forgotten: trained without them", number(facts.forgotten))] if facts.forgotten else []),
        FactRow("Training time", duration(facts.training_seconds), f"{months:g} months" if months else ""),
        FactRow("Training device-hours", number(facts.device_hours), _hours(stated)),
        FactRow("Whole run, device-hours", number(facts.run_device_hours)),
        FactRow("Started", _moment(facts.started)),
        FactRow("Ended", _moment(facts.ended)),
        FactRow("Year", str(facts.year or MISSING), str(stated.get("year", ""))),
        FactRow("Place", _place(facts), str(stated.get("country", ""))),
        FactRow("Restarts", number(facts.restarts)),
        FactRow("Tokens per second, measured and planned", _speed(facts)),
        FactRow("Memory of the fullest process, measured and planned", _memory(facts)),
        FactRow("Share of the time that was productive, measured and planned", _forward(facts)),
        FactRow("Model FLOPs utilisation", percent(facts.mfu)),
        FactRow("FLOPs per training token", flops(facts.flops_per_token)),
        FactRow("Peak of one device", _peak(facts)),
        *([FactRow("Matrix products", facts.products)] if facts.products else []),
        FactRow("Power per device", f"{facts.watts_per_device:g} W" if facts.watts_per_device else MISSING),
        FactRow("Power usage effectiveness", number(facts.pue)),
        FactRow("Energy of training", energy(facts.energy_kwh)),
        FactRow("Energy of the whole run", energy(facts.run_energy_kwh)),
        FactRow("Grid", _grid(facts)),
        FactRow("CO2 of training, location-based", carbon(facts.co2_kg)),
        FactRow("CO2 of the whole run, location-based", carbon(facts.run_co2_kg)),
        FactRow("Peak memory", _peak_memory(facts)),
        FactRow("Versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items()) or MISSING),
        FactRow("Code", facts.code or MISSING),
        FactRow("Recipe", f"sha256 {facts.recipe_hash[:16]}" if facts.recipe_hash else MISSING),
    ]


def _hours(stated: dict[str, Any]) -> str:
    more = "more than " if stated.get("more_device_hours") and stated.get("device_hours") else ""
    return more + _count(stated.get("device_hours"))


def _count(value: int | None) -> str:
    if value is None:
        return ""
    return human(value) if value >= 1_000_000 else number(value)


def _phases(facts: RunFacts) -> str:
    return "; ".join(
        f"{one.name}: {human(one.tokens)} tokens, {number(one.steps)} steps, sequences of {number(one.sequence_length)}"
        for one in facts.phases
    )


def _averaged(facts: RunFacts) -> str:
    steps = ", ".join(number(step) for step in facts.averaged_steps)
    return f"mean of {len(facts.averaged_steps)} checkpoints, of steps {steps} of the last training"


def _tokens_per_step(facts: RunFacts) -> str:
    return number(round(facts.tokens / facts.steps)) if facts.tokens and facts.steps else MISSING


def _peak(facts: RunFacts) -> str:
    """A GPU's datasheet with what was measured beside it; a processor's best product."""
    text = flops(facts.peak_flops_per_device, "FLOP/s")
    if facts.peak_source == "datasheet" and facts.peak_flops_per_device and facts.peak_measured:
        return f"{text} by its datasheet, {percent(facts.peak_measured / facts.peak_flops_per_device)} of it measured"
    return text if text == MISSING else f"{text}, measured" + (" while the machine was busy" if facts.busy else "")


def _speed(facts: RunFacts) -> str:
    measured = facts.tokens_per_second
    if not measured:
        return MISSING
    if facts.planned is None:
        return number(round(measured))
    planned = facts.planned.tokens_per_second
    return f"{number(round(measured))}; planned {number(round(planned))} ({planned / measured - 1:+.0%})"


def _memory(facts: RunFacts) -> str:
    if facts.memory_bytes is None:
        return MISSING
    if facts.planned is None:
        return human_bytes(facts.memory_bytes)
    planned = facts.planned.memory_bytes
    off = planned / facts.memory_bytes - 1
    return f"{human_bytes(facts.memory_bytes)}; planned {human_bytes(round(planned))} ({off:+.0%})"


def _forward(facts: RunFacts) -> str:
    if facts.forward is None:
        return MISSING
    beside = f"; planned {percent(facts.planned.forward)} with rolling checkpoints" if facts.planned else ""
    if facts.forward_expected is not None:
        beside += f"; {percent(facts.forward_expected)} expected of the faults that came"
    return percent(facts.forward) + beside


def _devices(facts: RunFacts) -> str:
    if facts.devices is None:
        return MISSING
    shared = f" shared by {facts.ranks} processes" if facts.ranks and facts.ranks > facts.devices else ""
    return number(facts.devices) + shared


def _moment(text: str) -> str:
    return text[:16].replace("T", " ") or MISSING


def _place(facts: RunFacts) -> str:
    # The document's own statement is in the other column.
    return facts.country if facts.country and not facts.country_is_stated else MISSING


def _grid(facts: RunFacts) -> str:
    if facts.grid is None:
        return MISSING
    stated = ", the place that the document states" if facts.country_is_stated else ""
    return f"{facts.grid.grams_per_kwh:g} g CO2/kWh ({facts.grid.name} {facts.grid.year}{stated})"


def _peak_memory(facts: RunFacts) -> str:
    if not facts.stage_peak_bytes:
        return MISSING
    stage, size = max(facts.stage_peak_bytes.items(), key=lambda item: item[1])
    return f"{human_bytes(size)} ({stage})"
