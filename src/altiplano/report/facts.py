"""The facts of a run: one record that fills the card, the report and the energy statement.

Everything here is measured by the stages or given by the cluster file. What the document states is kept apart, in
``stated``, and printed beside the measured value.
"""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from altiplano import __version__
from altiplano.planning.cost import Grid, emissions_kg, energy_kwh, grid
from altiplano.planning.planned_vs_measured import Planned, planned
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.schema import Recipe
from altiplano.records.run_records import Records


@dataclass(frozen=True)
class RunFacts:
    """Times in seconds, energy in kWh at the meter, CO2 in kg, sizes in bytes. None: not known."""

    name: str
    title: str = ""
    license: str = ""
    parameters: int | None = None
    tokens: int | None = None
    steps: int | None = None
    device: str = ""
    device_name: str = ""
    devices: int | None = None
    ranks: int | None = None
    layout: str = ""
    restarts: int | None = None
    mfu: float | None = None
    flops_per_token: float | None = None
    tokens_per_second: float | None = None
    """Of an ordinary step: the median."""
    peak_flops_per_device: float | None = None
    peak_source: str = "measured"
    """Or "datasheet", of a GPU."""
    peak_measured: float | None = None
    busy: bool = False
    """Others used the machine when its peak was measured."""
    products: str = ""
    """How a processor multiplied bfloat16 matrices."""
    training_started: str = ""
    training_ended: str = ""
    training_seconds: float | None = None
    started: str = ""
    ended: str = ""
    year: int | None = None
    stage_seconds: dict[str, float] = field(default_factory=dict)
    stage_peak_bytes: dict[str, int] = field(default_factory=dict)
    device_hours: float | None = None
    """Of training: devices × time."""
    run_device_hours: float | None = None
    """Of training on its devices and every other stage on one."""
    watts_per_device: float | None = None
    pue: float | None = None
    country: str = ""
    country_is_stated: bool = False
    """True: the cluster file names no country, this one is the document's statement."""
    planned: Planned | None = None
    """What the planner expects on this layout; None: no plan, as the cluster does not say its chip."""
    memory_bytes: int | None = None
    """Of the fullest process of training: allocated on a GPU, resident on a CPU."""
    forward: float | None = None
    """Share of the wall-clock of training that went forward, but for the first start."""
    forward_expected: float | None = None
    """Of faults, saves and restarts as they came, by the planner's formula; None without faults."""
    grid: Grid | None = None
    energy_kwh: float | None = None
    run_energy_kwh: float | None = None
    co2_kg: float | None = None
    run_co2_kg: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    code: str = ""
    recipe_hash: str = ""
    stated: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def facts_from_json(values: dict[str, Any]) -> RunFacts:
    """The inverse of ``as_json``."""
    where, plan = values.get("grid"), values.get("planned")
    # A model that was released by another version may state what this one does not know.
    known = {one.name: values[one.name] for one in fields(RunFacts) if one.name in values}
    return RunFacts(**{**known, "grid": Grid(**where) if where else None, "planned": Planned(**plan) if plan else None})


def run_facts(records: Records, cluster: Cluster | None = None) -> RunFacts:
    """Gather the facts of a whole or partial run. Without a ``cluster`` there is no energy: watts are not known."""
    run, recipe = records.run or {}, records.recipe
    measured = {stage: records.manifests[stage].get("measured", {}) for stage in records.done}
    stage_seconds = wall_seconds(records)
    started = min(_times(measured.values(), "started"), default="")
    ended = max(_times(measured.values(), "ended"), default="")
    sessions = run.get("sessions", [])
    devices = device_count(run, cluster)
    seconds = training_seconds(records)
    hours = None if devices is None or seconds is None else devices * seconds / 3600
    elsewhere = sum(seconds for stage, seconds in stage_seconds.items() if stage != "train") / 3600
    run_hours = None if hours is None else hours + elsewhere
    stated = _stated(recipe)
    country = (cluster.country if cluster else "") or stated.get("country", "")
    where = grid(country)
    watts, pue = (cluster.watts_per_device, cluster.pue) if cluster else (None, None)
    energy = None if hours is None or watts is None or pue is None else energy_kwh(hours, watts, pue)
    run_energy = None if run_hours is None or watts is None or pue is None else energy_kwh(run_hours, watts, pue)
    peak = run.get("matmul_peak_flops") or 0.0
    booked = run.get("goodput") or {}
    return RunFacts(
        name=records.name,
        title=recipe.disclosure.title if recipe else "",
        license=recipe.disclosure.license if recipe else "",
        parameters=run.get("parameters"),
        tokens=run.get("tokens"),
        steps=run.get("steps"),
        device=run.get("device", ""),
        device_name=(cluster.device_name if cluster else "") or run.get("device_name", ""),
        devices=devices,
        ranks=run.get("world_size"),
        layout=run.get("layout", ""),
        restarts=run.get("restarts"),
        mfu=run.get("mfu"),
        flops_per_token=run.get("flops_per_token"),
        tokens_per_second=run.get("tokens_per_second") or _speed(run),
        peak_flops_per_device=run.get("matmul_peak_flops"),
        peak_source=run.get("matmul_peak_source", "measured"),
        peak_measured=run.get("matmul_measured_flops"),
        busy=bool(run.get("busy")),
        products=run.get("products") or "",
        training_started=min(_times(sessions, "started"), default=""),
        training_ended=max(_times(sessions, "ended"), default=""),
        training_seconds=seconds,
        started=started,
        ended=ended,
        year=datetime.fromisoformat(ended).year if ended else None,
        stage_seconds=stage_seconds,
        stage_peak_bytes={s: int(m["peak_memory_bytes"]) for s, m in measured.items() if m.get("peak_memory_bytes")},
        device_hours=hours,
        run_device_hours=run_hours,
        watts_per_device=watts,
        pue=pue,
        country=country,
        country_is_stated=bool(country) and not (cluster and cluster.country),
        planned=planned(recipe, cluster, run.get("layout", ""), peak) if recipe and cluster else None,
        memory_bytes=max(run.get("memory_bytes") or [0]) or None,
        forward=booked.get("forward"),
        forward_expected=(booked.get("formula") or {}).get("expected"),
        grid=where,
        energy_kwh=energy,
        run_energy_kwh=run_energy,
        co2_kg=None if energy is None else emissions_kg(energy, where),
        run_co2_kg=None if run_energy is None else emissions_kg(run_energy, where),
        versions=_versions(run),
        code=_code_version(),
        recipe_hash=recipe_hash(recipe) if recipe else "",
        stated=stated,
    )


def device_count(run: dict[str, Any], cluster: Cluster | None) -> int | None:
    """Devices at work. Ranks on CPU share the machine, so they count as no more devices than the cluster has."""
    ranks = run.get("world_size")
    if ranks is None or run.get("device") != "cpu":
        return ranks
    return min(int(ranks), cluster.devices) if cluster else 1


def wall_seconds(records: Records) -> dict[str, float]:
    """Time per finished stage, in order. A manifest knows the last session only; training counts all of its own."""
    measured = {stage: records.manifests[stage].get("measured", {}).get("wall_seconds") for stage in records.done}
    known = {stage: float(seconds) for stage, seconds in measured.items() if seconds is not None}
    if "train" in known:
        known["train"] = max(known["train"], training_seconds(records) or 0.0)
    return known


def training_seconds(records: Records) -> float | None:
    """Time of all sessions. A killed one left no end, so the steps that were kept count at least."""
    seconds = (records.run or {}).get("seconds")
    steps = sum(line.get("seconds") or 0.0 for line in records.metrics)
    return None if seconds is None else max(float(seconds), steps)


def recipe_hash(recipe: Recipe) -> str:
    """sha256 of the recipe's values, whatever the order and spelling in the file."""
    text = json.dumps(recipe.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _stated(recipe: Recipe | None) -> dict[str, Any]:
    """What the document says of the run, without what it leaves out."""
    if recipe is None:
        return {}
    values = recipe.disclosure.model_dump(mode="json", exclude={"title", "license"})
    return {key: value for key, value in values.items() if value not in (None, "")}


def _speed(run: dict[str, Any]) -> float | None:
    """Tokens a second of a run that was recorded before they were."""
    if not (run.get("mfu") and run.get("matmul_peak_flops") and run.get("flops_per_token")):
        return None
    return run["mfu"] * run["matmul_peak_flops"] / run["flops_per_token"]


def _times(records: Iterable[dict[str, Any]], key: str) -> list[str]:
    return [str(record[key]) for record in records if record.get(key)]


def _versions(run: dict[str, Any]) -> dict[str, str]:
    """Of the training, where it says so; else of this process."""
    import torch

    here = {"altiplano": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {name: run.get(name, version) for name, version in here.items()}


def _code_version() -> str:
    """The git revision of a checkout; an installed wheel has only its version."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
