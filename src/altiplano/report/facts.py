"""Gathering the facts of a run: the record that fills the card, the report and the energy statement.

Everything here is measured by the stages or given by the cluster file. What the document states is kept apart, in
``stated``, and printed beside the measured value.
"""

import platform
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from altiplano.planning.cost import emissions_kg, energy_kwh, grid
from altiplano.planning.planned_vs_measured import planned
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import is_training, last_training, trainings
from altiplano.records import PlannedRun, RunFacts, TrainingSummary
from altiplano.records.release import PhaseFacts
from altiplano.records.run_records import Records, TrainingRecords
from altiplano.storage import json_digest
from altiplano.version import __version__


def run_facts(records: Records, cluster: Cluster | None = None) -> RunFacts:
    """Gather the facts of a whole or partial run. Without a ``cluster`` there is no energy: watts are not known."""
    run, recipe = records.run, records.recipe
    measured = {stage: records.manifests[stage].measured for stage in records.done}
    stage_seconds = wall_seconds(records)
    started = min((one.started for one in measured.values() if one.started), default="")
    ended = max((one.ended for one in measured.values() if one.ended), default="")
    devices = device_count(run, cluster)
    seconds = training_seconds(records)
    hours = None if devices is None or seconds is None else devices * seconds / 3600
    elsewhere = sum(seconds for stage, seconds in stage_seconds.items() if not is_training(stage)) / 3600
    run_hours = None if hours is None else hours + elsewhere
    stated = _stated(recipe)
    country = (cluster.country if cluster else "") or stated.get("country", "")
    where = grid(country)
    watts, pue = (cluster.watts_per_device, cluster.pue) if cluster else (None, None)
    energy = None if hours is None or watts is None or pue is None else energy_kwh(hours, watts, pue)
    run_energy = None if run_hours is None or watts is None or pue is None else energy_kwh(run_hours, watts, pue)
    return RunFacts(
        **_of_training(run),
        phases=_phases(records),
        averaged_steps=_averaged(recipe),
        name=records.name,
        title=recipe.disclosure.title if recipe else "",
        pretrained=recipe.pretrained.name if recipe and recipe.pretrained else "",
        license=recipe.disclosure.license if recipe else "",
        device_name=(cluster.device_name if cluster else "") or (run.device_name if run else ""),
        devices=devices,
        training_seconds=seconds,
        started=started,
        ended=ended,
        year=datetime.fromisoformat(ended).year if ended else None,
        stage_seconds=stage_seconds,
        stage_peak_bytes={s: one.peak_memory_bytes for s, one in measured.items() if one.peak_memory_bytes},
        device_hours=hours,
        run_device_hours=run_hours,
        watts_per_device=watts,
        pue=pue,
        country=country,
        country_is_stated=bool(country) and not (cluster and cluster.country),
        planned=_planned(recipe, cluster, run),
        grid=where,
        energy_kwh=energy,
        run_energy_kwh=run_energy,
        co2_kg=None if energy is None else emissions_kg(energy, where),
        run_co2_kg=None if run_energy is None else emissions_kg(run_energy, where),
        versions=_versions(run),
        code=_code_version(),
        recipe_hash=recipe_hash(recipe) if recipe else "",
        forgotten=len(recipe.forget) if recipe else 0,
        stated=stated,
    )


def _planned(recipe: Recipe | None, cluster: Cluster | None, run: TrainingSummary | None) -> PlannedRun | None:
    """What was expected of the last training."""
    if recipe is None or cluster is None or run is None:
        return None
    return planned(last_training(recipe).recipe, cluster, run.layout, run.matmul_peak_flops)


def _phases(records: Records) -> list[PhaseFacts]:
    if records.recipe is None or not records.recipe.phases:
        return []
    runs = {one.stage: one.run for one in records.trainings if one.run}
    return [
        PhaseFacts(
            name=one.phase,
            tokens=runs[one.stage].tokens - one.recipe.batch.from_tokens,
            steps=runs[one.stage].steps,
            sequence_length=one.recipe.batch.sequence_length,
        )
        for one in trainings(records.recipe)
        if one.stage in runs
    ]


def _averaged(recipe: Recipe | None) -> list[int]:
    steps = last_training(recipe).recipe.averaged if recipe else ()
    return [*steps] if len(steps) > 1 else []


def _of_training(run: TrainingSummary | None) -> dict[str, Any]:
    """The facts that ``run.json`` has, by their names."""
    if run is None:
        return {}
    booked = run.goodput
    return {
        "parameters": run.parameters,
        "tokens": run.tokens,
        "steps": run.steps,
        "device": run.device,
        "ranks": run.world_size,
        "layout": run.layout,
        "restarts": run.restarts,
        "mfu": run.mfu,
        "flops_per_token": run.flops_per_token,
        "tokens_per_second": run.tokens_per_second or _speed(run),
        "peak_flops_per_device": run.matmul_peak_flops or None,
        "peak_source": run.matmul_peak_source,
        "peak_measured": run.matmul_measured_flops,
        "busy": run.busy,
        "products": run.products or "",
        "training_started": min((one.started for one in run.sessions), default=""),
        "training_ended": max((one.ended for one in run.sessions), default=""),
        "memory_bytes": max(run.memory_bytes, default=0) or None,
        "forward": booked.forward if booked else None,
        "forward_expected": booked.formula.expected if booked and booked.formula else None,
    }


def device_count(run: TrainingSummary | None, cluster: Cluster | None) -> int | None:
    """Devices at work. Ranks on CPU share the machine, so they count as no more devices than the cluster has."""
    if run is None:
        return None
    if run.device != "cpu":
        return run.world_size
    return min(run.world_size, cluster.devices) if cluster else 1


def wall_seconds(records: Records) -> dict[str, float]:
    """Time per finished stage, in order. A manifest knows the last session only; training counts all of its own."""
    measured = {stage: records.manifests[stage].measured.wall_seconds for stage in records.done}
    known = {stage: seconds for stage, seconds in measured.items() if seconds is not None}
    for one in records.trainings:
        if one.stage in known:
            known[one.stage] = max(known[one.stage], _seconds(one) or 0.0)
    return known


def training_seconds(records: Records) -> float | None:
    """Time of all sessions of all trainings. A killed one left no end, so the steps that were kept count at least."""
    known = [seconds for one in records.trainings if (seconds := _seconds(one)) is not None]
    return sum(known) if known else None


def _seconds(training: TrainingRecords) -> float | None:
    if training.run is None:
        return None
    return max(training.run.seconds, sum(line.seconds for line in training.metrics))


def recipe_hash(recipe: Recipe) -> str:
    """sha256 of the recipe's values, whatever the order and spelling in the file."""
    return json_digest(recipe.model_dump(mode="json"))


def _stated(recipe: Recipe | None) -> dict[str, Any]:
    """What the document says of the run, without what it leaves out."""
    if recipe is None:
        return {}
    values = recipe.disclosure.model_dump(mode="json", exclude={"title", "license"})
    return {key: value for key, value in values.items() if value not in (None, "")}


def _speed(run: TrainingSummary) -> float | None:
    """Tokens a second of a run that was recorded before they were."""
    if not run.mfu or not run.flops_per_token:
        return None
    return run.mfu * run.matmul_peak_flops / run.flops_per_token or None


def _versions(run: TrainingSummary | None) -> dict[str, str]:
    """Of the training, where it says so; else of this process."""
    import torch

    here = {"altiplano": __version__, "torch": str(torch.__version__), "python": platform.python_version()}
    there = {"torch": run.torch, "python": run.python} if run else {}
    return here | {name: version for name, version in there.items() if version}


def _code_version() -> str:
    """The git revision of a checkout; an installed wheel has only its version."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
