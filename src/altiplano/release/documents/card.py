"""The model card: README.md with Hugging Face metadata, written from the records alone."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from altiplano.formatting import number, percent, settings
from altiplano.recipe.release import ReleaseConfig
from altiplano.records import Export, Notice, RunFacts, ShardEntry
from altiplano.records.run_records import Records, dropped_by_reason
from altiplano.release.documents.eu_summary import list_sources
from altiplano.release.documents.licences import hub_licence
from altiplano.report.fact_table import fact_rows
from altiplano.report.sections.benchmark_sections import benchmark_rows


def render_card(
    records: Records,
    facts: RunFacts,
    export: Export | None = None,
    sources: Sequence[Mapping[str, str]] = (),
    notices: Sequence[Notice] = (),
) -> str:
    """The card's Markdown; what no record holds says "not stated". ``sources``: rows of the table of sources."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, not HTML
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    training = training_data(records)
    return environment.get_template("card.md.j2").render(
        facts=facts,
        fact_rows=fact_rows(facts),
        training=training,
        languages=sorted({row.language for row in training} - {"code"}),
        licence=hub_licence(facts.license),
        licence_name=re.sub(r"[^a-z0-9.]+", "-", facts.license.lower()).strip("-"),
        has_code=any(row.language == "code" for row in training),
        audit=records.audit,
        dropped=dropped_by_reason(records),
        settings=_settings(records),
        final_loss=next((line.loss for line in reversed(records.metrics) if math.isfinite(line.loss)), None),
        evaluation=records.perplexity,
        benchmarks=records.benchmarks,
        benchmark_rows=benchmark_rows(records),
        calibration=records.calibration,
        answers=records.answer_calibration,
        redteam=records.redteam,
        lineage=lineage(records),
        export=export,
        stated=records.recipe.release if records.recipe else ReleaseConfig(),
        sources=list_sources(records.recipe, sources) if records.recipe and sources else [],
        notices=notices,
        number=number,
        percent=percent,
        between=_between,
    )


def training_data(records: Records) -> list[ShardEntry]:
    """Documents, tokens and bytes of the training split per domain and language, the largest first."""
    rows = [shard for shard in records.shards if shard.split == "train"]
    return sorted(rows, key=lambda row: -row.tokens)


def lineage(records: Records) -> list[dict[str, str]]:
    """Hash of every stage's manifest, and the hashes it was made from."""
    return [
        {
            "stage": stage,
            "hash": records.manifests[stage].hash[:16],
            "inputs": ", ".join(f"{name} {digest[:8]}" for name, digest in records.manifests[stage].inputs.items())
            or "raw data and the recipe",
        }
        for stage in records.done
    ]


def _settings(records: Records) -> list[tuple[str, str]]:
    """Every setting that determines the result; the list of sources has the data table's place."""
    if records.recipe is None:
        return []
    elsewhere: dict[str, Any] = {"name": True, "disclosure": True, "release": True, "corpus": {"root", "sources"}}
    return settings(records.recipe.model_dump(mode="json", exclude=elsewhere))


def _between(low: float | None, high: float | None) -> str:
    return "not stated" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def _cell(text: str) -> str:
    """Text inside a table cell: on one line, without the character that ends a cell."""
    return " ".join(str(text).split()).replace("|", "\\|")
