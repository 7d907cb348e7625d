"""From a run folder to report.html: one file, no request to any other place."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from altiplano.formatting import carbon, duration, energy, number, percent
from altiplano.recipe.units import human, human_bytes
from altiplano.records import RunFacts
from altiplano.records.run_records import STAGES, Records, read_records
from altiplano.report.charts.bars import Bar, bar_chart
from altiplano.report.charts.figure import Figure, figure
from altiplano.report.fact_table import fact_rows
from altiplano.report.facts import run_facts
from altiplano.report.frame import render_page
from altiplano.report.sections import audit_sections
from altiplano.report.sections.answer_sections import answer_figures, answer_tables, headline
from altiplano.report.sections.benchmark_sections import benchmark_figures, benchmark_rows
from altiplano.report.sections.corpus_sections import (
    data_figures,
    dropped_matrix,
    kept_matrix,
    pieces,
    portions,
    token_matrix,
)
from altiplano.report.sections.result_sections import (
    calibration_figures,
    evaluation_figures,
    heldout_rises,
    overfitting_rows,
)
from altiplano.report.sections.training_sections import incident_rows, training_figures
from altiplano.storage import write_text


@dataclass(frozen=True)
class Headline:
    """A headline number; ``tone`` good or bad colours it."""

    what: str
    value: str
    note: str = ""
    tone: str = ""


def report(workspace: Path, compare: Path | None = None) -> Path:
    """Write ``workspace``/report.html on whatever stages there are; return its path.

    The training curves of the run in ``compare`` are drawn behind its own. Raises InputError when one of them is not
    the folder of a run.
    """
    page = render(read_records(workspace), read_records(compare) if compare is not None else None)
    path = workspace / "report.html"
    write_text(path, page)
    return path


def render(records: Records, other: Records | None = None) -> str:
    facts = current_facts(records)
    return render_page(
        "page.html.j2",
        kind="report",
        name=records.name,
        subtitle=facts.title,
        stages=[(stage, _state(records, stage)) for stage in records.stages],
        commands={stage: command(records, stage) for stage in STAGES},
        headlines=headlines(records, facts),
        records=records,
        data_figures=data_figures(records),
        dropped=dropped_matrix(records),
        kept=kept_matrix(records),
        tokens=token_matrix(records),
        portions=portions(records),
        funnel=audit_sections.funnel_matrix(records),
        pieces=pieces(records),
        limits=audit_sections.limit_matrix(records),
        bases=audit_sections.bases(records),
        rules=audit_sections.rules(records),
        measured=audit_sections.measured,
        training_figures=training_figures(records, other),
        incidents=incident_rows(records),
        evaluation_figures=evaluation_figures(records),
        overfitting_rows=overfitting_rows(records),
        heldout_rises=heldout_rises(records),
        benchmark_figures=benchmark_figures(records),
        benchmark_rows=benchmark_rows(records),
        calibration_figures=calibration_figures(records),
        answer_figures=answer_figures(records.answer_calibration),
        answer_tables=answer_tables(records.answer_calibration),
        answer_headline=headline(records.answer_calibration) if records.answer_calibration else "",
        time_figures=time_figures(facts),
        facts=fact_rows(facts),
        lineage=lineage_rows(records),
        number=number,
        percent=percent,
    )


def current_facts(records: Records) -> RunFacts:
    """The facts that were released, with the release's own time; without a release, those of the stages so far."""
    now = run_facts(records)
    if not records.facts:
        return now
    measured = {"stage_seconds": now.stage_seconds, "stage_peak_bytes": now.stage_peak_bytes}
    return records.facts.model_copy(update=measured)


def command(records: Records, stage: str) -> str:
    """What makes ``stage`` in this run's folder, as one would type it here."""
    folder, here = records.workspace.resolve(), Path.cwd()
    shown = folder.relative_to(here) if folder.is_relative_to(here) else records.workspace
    usual = records.recipe is not None and shown == Path("runs") / records.recipe.name
    return f"altiplano {stage} {shown / 'recipe.toml'}" + ("" if usual else f" --workspace {shown}")


def headlines(records: Records, facts: RunFacts) -> list[Headline]:
    """The numbers that a reader asks for first; only those that the run has."""
    found = []
    if facts.parameters is not None:
        found.append(Headline("parameters", human(facts.parameters), number(facts.parameters)))
    if records.metrics:
        last = records.metrics[-1]
        # One batch is noisy; a twentieth of a short run is not yet another loss.
        losses = [line.loss for line in records.metrics if math.isfinite(line.loss)]
        recent = losses[-max(1, min(20, len(losses) // 20)) :]
        found.append(Headline("training tokens", human(last.tokens), f"{number(last.step)} steps"))
        if recent:
            found.append(Headline("training loss", f"{sum(recent) / len(recent):.3f}", f"from {losses[0]:.3f}"))
    bits = [line.total.bits_per_byte for line in records.heldout]
    if bits:
        found.append(Headline("held-out bits per byte", f"{bits[-1]:.3f}", f"from {bits[0]:.3f}"))
    if records.calibration:
        fitted = records.calibration
        change = f"calibration error {fitted.before.ece:.3f} → {fitted.after.ece:.3f}"
        found.append(Headline("temperature", f"{fitted.temperature:.3f}", change))
    if records.redteam:
        passed = records.redteam.passed
        held = sum(gate.verdict == "passed" if gate.verdict else gate.passed for gate in records.redteam.gate)
        note = f"{held} of {len(records.redteam.gate)} limits held"
        found.append(Headline("red-team gate", "passed" if passed else "failed", note, "good" if passed else "bad"))
    if facts.stage_seconds:
        found.append(Headline("time of all stages", duration(sum(facts.stage_seconds.values())), facts.device_name))
    if facts.run_energy_kwh is not None:
        found.append(Headline("energy", energy(facts.run_energy_kwh), f"{carbon(facts.run_co2_kg)} CO2"))
    if records.audit and not records.metrics:
        kept = sum(row.documents for row in records.audit.kept)
        found.insert(0, Headline("documents kept", human(kept), f"of {number(pieces(records))}"))
    return found


def time_figures(facts: RunFacts) -> list[Figure]:
    times = [Bar(stage, seconds, duration(seconds), 0) for stage, seconds in facts.stage_seconds.items()]
    sizes = [Bar(stage, size, human_bytes(size), 4) for stage, size in facts.stage_peak_bytes.items()]
    return [
        *figure("Time", "per stage", bar_chart("Time per stage", times)),
        *figure("Peak memory", "per stage", bar_chart("Peak memory per stage", sizes)),
    ]


def lineage_rows(records: Records) -> list[dict[str, Any]]:
    """One row per published stage, with what it was made from."""
    replaced = records.workspace / ".superseded"
    rows = []
    for stage in records.done:
        manifest = records.manifests[stage]
        measured = manifest.measured
        peak = measured.peak_memory_bytes
        earlier = len(list(replaced.glob(f"{stage}-*"))) if replaced.is_dir() else 0
        rows.append(
            {
                "stage": stage,
                "hash": manifest.hash[:12],
                "inputs": [(name, digest[:8]) for name, digest in manifest.inputs.items()],
                "outputs": len(manifest.outputs),
                "time": duration(measured.wall_seconds),
                "peak": human_bytes(peak) if peak else "",
                "ended": measured.ended[:16].replace("T", " "),
                "recomputed": f"{earlier} ×" if earlier else "no",
            }
        )
    return rows


def _state(records: Records, stage: str) -> str:
    if stage in records.manifests:
        return "done" if records.manifests[stage].passed else "failed"
    return "under way" if stage in records.under_way else "not yet"
