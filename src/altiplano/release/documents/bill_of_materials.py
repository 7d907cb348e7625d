"""``bom.json``: the bill of materials of the model, in CycloneDX 1.7 (ECMA-424), as plain JSON.

The model is a component of type machine-learning-model with its model card; its data, files and libraries are
components that it depends on. https://cyclonedx.org/docs/1.7/json/
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from altiplano.formatting import settings
from altiplano.recipe.schema import Recipe
from altiplano.records import Export, RunFacts
from altiplano.records.run_records import Records
from altiplano.release.documents.licences import is_spdx_expression, spdx_licence

Json = dict[str, Any]
MODEL = "model"
NAMESPACE = uuid.UUID("6f1d6f0e-3a0b-5c0a-9a5e-0d6c3c1f7a11")
"""Of serial numbers: a version 5 UUID of what was trained, so that the same model has the same one."""
DETERMINING = {"model", "mixture", "batch", "optimizer", "precision"}
"""Sections of the recipe whose settings are the model's hyperparameters."""
LIMITS = (
    "It continues text with the errors, biases and tone of its training data, and states false things with confidence.",
    "It was tested in the domains and languages of its evaluation and in no others.",
)


def bill_of_materials(
    recipe: Recipe,
    records: Records,
    facts: RunFacts,
    export: Export,
    environment: Mapping[str, str],
    sources: Sequence[Mapping[str, str]],
) -> Json:
    """The document. ``sources``: rows of the table of sources, whose documents and bytes are strings of digits."""
    data = list(_data(recipe, sources))
    libraries = [_library(name, version) for name, version in sorted(environment.items())]
    files = [_file(name, digest) for name, digest in sorted(export.released.items())]
    made = records.manifests.get(records.trained)
    trained = made.hash if made else facts.recipe_hash
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, trained)}",
        "version": 1,
        "metadata": {
            **({"timestamp": facts.ended} if facts.ended else {}),
            "lifecycles": [{"phase": "build"}],
            "tools": {
                "components": [
                    {"type": "application", "name": "altiplano", "version": facts.versions.get("altiplano", "")}
                ]
            },
            "component": _model(recipe, records, facts, export, data),
        },
        "components": [*data, *files, *libraries],
        "dependencies": [
            {"ref": MODEL, "dependsOn": [one["bom-ref"] for one in [*data, *files, *libraries]]},
            *({"ref": one["bom-ref"]} for one in [*data, *files, *libraries]),
        ],
        "compositions": [
            # libraries that those libraries need are not listed
            {"aggregate": "complete", "assemblies": [one["bom-ref"] for one in [*data, *files]]},
            {"aggregate": "incomplete", "assemblies": [MODEL]},
        ],
    }


def _model(recipe: Recipe, records: Records, facts: RunFacts, export: Export, data: Sequence[Json]) -> Json:
    stated = recipe.release
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": facts.name,
        "version": facts.recipe_hash[:16],
        **({"description": facts.title} if facts.title else {}),
        **({"manufacturer": _organisation(stated.provider, stated.contact)} if stated.provider else {}),
        **_licences(facts.license),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "self-supervised"},
                "task": "text-generation",
                "architectureFamily": "decoder-only transformer",
                "modelArchitecture": "LlamaForCausalLM",
                "datasets": [{"ref": one["bom-ref"]} for one in data],
                "inputs": [{"format": "text"}],
                "outputs": [{"format": "text"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": [*_metrics(records)]},
            "considerations": {
                "users": ["researchers", "developers who train it further"],
                "useCases": ["research on language models", "a starting point for further training"],
                "technicalLimitations": [*LIMITS],
                "ethicalConsiderations": [*_tested_risks(records)],
                **_environment(facts),
            },
        },
        "properties": [
            _property("parameters", facts.parameters),
            _property("training_tokens", facts.tokens),
            _property("training_flop", compute(facts)),
            _property("weights_dtype", export.dtype),
            _property("recipe_sha256", facts.recipe_hash),
            _property("code", facts.code),
            _property("data_preprocessing", _steps(records)),
            _property("personal_data_replaced", _personal_data(records)),
            *(_property(key, value) for key, value in settings(recipe.model_dump(mode="json", include=DETERMINING))),
        ],
    }


def _steps(records: Records) -> str:
    """The steps of curation with the documents that were left after each."""
    return ", ".join(f"{step.step} {step.documents}" for step in records.audit.funnel) if records.audit else ""


def _personal_data(records: Records) -> str:
    found = sorted(records.audit.personal_data.items()) if records.audit else []
    return ", ".join(f"{kind} {count}" for kind, count in found)


def compute(facts: RunFacts) -> float | None:
    """Floating-point operations of training: 6 for each parameter and token (Kaplan et al. 2020, section 2.1)."""
    return None if facts.parameters is None or facts.tokens is None else 6.0 * facts.parameters * facts.tokens


def _metrics(records: Records) -> Iterator[Json]:
    for name, group in sorted((records.perplexity.groups if records.perplexity else {}).items()):
        low, high = group.bits_per_byte_low, group.bits_per_byte_high
        yield _metric("bits per byte", group.bits_per_byte, f"held-out {name}", low, high)
    for name, task in sorted((records.benchmarks.tasks if records.benchmarks else {}).items()):
        yield _metric(task.metric, task.score.value, name, task.score.low, task.score.high)
    if records.calibration:
        yield _metric("expected calibration error", records.calibration.after.ece, "held-out text", None, None)
    for test in records.redteam.tests if records.redteam else ():
        yield _metric("attack success rate", test.model.rate, test.name, test.model.low, test.model.high)


def _metric(kind: str, value: float, slice_name: str, low: float | None, high: float | None) -> Json:
    known = {"confidenceInterval": {"lowerBound": _number(low), "upperBound": _number(high)}}
    return {
        "type": kind,
        "value": _number(value),
        "slice": slice_name,
        **(known if low is not None and high is not None else {}),
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _tested_risks(records: Records) -> Iterator[Json]:
    for gate in records.redteam.gate if records.redteam else ():
        result = "passed" if gate.passed else "failed"
        yield {
            "name": gate.name,
            "mitigationStrategy": f"gate before release: {_number(gate.value)}, limit {_number(gate.limit)}: {result}",
        }


def _environment(facts: RunFacts) -> Json:
    """Energy of training at the meter, and its CO2 by the grid's mean intensity."""
    if facts.energy_kwh is None or facts.grid is None or facts.co2_kg is None:
        return {}
    energy = {"value": facts.energy_kwh, "unit": "kWh"}
    source = f"{facts.grid.grams_per_kwh:g} g CO2 per kWh ({facts.grid.year}, location-based): {facts.grid.source}"
    provider = {
        "description": source,
        "organization": {"name": f"grid of {facts.grid.name}"},
        "energySource": "unknown",
        "energyProvided": energy,
    }
    return {
        "environmentalConsiderations": {
            "energyConsumptions": [
                {
                    "activity": "training",
                    "energyProviders": [provider],
                    "activityEnergyCost": energy,
                    "co2CostEquivalent": {"value": facts.co2_kg / 1000, "unit": "tCO2eq"},
                }
            ]
        }
    }


def _data(recipe: Recipe, sources: Sequence[Mapping[str, str]]) -> Iterator[Json]:
    """One component per source of the corpus, with its documents and bytes and the licence that the recipe states."""
    stated = {one.name: one for one in recipe.release.sources}
    for source in recipe.corpus.sources:
        rows = [row for row in sources if row["source"] == source.name]
        said = stated.get(source.name)
        sums = {key: sum(int(row[key]) for row in rows) for key in ("documents", "bytes")}
        measured = [_property(key, value) for key, value in sums.items()] if rows else []
        where = {"externalReferences": [{"type": "distribution", "url": said.url}]} if said and said.url else {}
        yield {
            "type": "data",
            "bom-ref": f"data:{source.name}",
            "name": said.title if said and said.title else source.name,
            **_licences(said.license if said else ""),
            "data": [
                {
                    "type": "dataset",
                    "name": source.name,
                    "description": f"{source.domain} text, format {source.format}; "
                    + (f"{said.kind} data" if said and said.kind else "kind of source not stated"),
                    "contents": {"properties": measured},
                }
            ],
            **where,
        }


def _licences(name: str) -> Json:
    """``licenses`` as CycloneDX has them: an SPDX identifier, an expression of some, or a name. None: not stated."""
    if not name:
        return {"licenses": [{"license": {"name": "NOASSERTION"}}]}
    if identifier := spdx_licence(name):
        return {"licenses": [{"license": {"id": identifier}}]}
    if is_spdx_expression(name):
        return {"licenses": [{"expression": name}]}
    return {"licenses": [{"license": {"name": name}}]}


def _library(name: str, version: str) -> Json:
    place = f"pkg:pypi/{name.lower().replace('_', '-')}@{version.replace('+', '%2B')}"
    return {"type": "library", "bom-ref": place, "name": name, "version": version, "purl": place}


def _file(name: str, digest: str) -> Json:
    return {
        "type": "file",
        "bom-ref": f"file:{name}",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def _organisation(name: str, contact: str) -> Json:
    """A contact with an @ is an e-mail address, anything else a name."""
    if not contact:
        return {"name": name}
    return {"name": name, "contact": [{"email" if "@" in contact else "name": contact}]}


def _property(name: str, value: Any) -> Json:
    return {"name": f"altiplano:{name}", "value": "not stated" if value in (None, "") else str(value)}
