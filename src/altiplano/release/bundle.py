"""A release's documents: all are rendered from its evidence, by the stage and again by whoever verifies it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from altiplano.recipe.schema import Recipe
from altiplano.records import EvidenceIndex, Export, Notice, Notices, RunFacts, StageManifest
from altiplano.records.run_records import Records
from altiplano.release.documents.bill_of_materials import bill_of_materials
from altiplano.release.documents.card import render_card
from altiplano.release.documents.croissant import croissant
from altiplano.release.documents.data_statistics import DOMAINS, SHARDS, SOURCES, read_table, shards_table
from altiplano.release.documents.eu_summary import render_summary
from altiplano.release.evidence import FOLDER, INDEX, read_cluster, read_evidence
from altiplano.report.facts import run_facts
from altiplano.storage import json_text, read_json, write_text

CARD, BOM, DATA_CARD, SUMMARY = "README.md", "bom.json", "croissant.json", "training-content-summary.md"
FACTS, EXPORT, NOTICES = "facts.json", "export.json", "notices.json"
OWN_WORDS = "*Below this line are the publisher's own words: no figure in them is recomputed.*\n"
"""What follows this line of the card may be edited by hand; ``verify`` recomputes what stands before it."""


@dataclass(frozen=True)
class Bundle:
    """All that the documents of a release are rendered from."""

    records: Records
    manifests: dict[str, StageManifest]
    """Of the stages, also of those that were made from others than are here, which ``records`` leaves out."""
    recipe: Recipe
    facts: RunFacts
    export: Export
    index: EvidenceIndex
    environment: dict[str, str]
    sources: list[dict[str, str]]
    domains: list[dict[str, str]]
    tables: dict[str, str]
    """sha256 of the tables in evidence/data, by name."""
    notices: list[Notice]

    @property
    def left_out(self) -> frozenset[str]:
        """Files of the run that are not in the evidence, such as ``train/metrics.jsonl``."""
        return frozenset(one.path for one in self.index.left_out)

    @property
    def withdrawn(self) -> Notice | None:
        return next((one for one in self.notices if one.kind == "withdrawn"), None)


def read_bundle(folder: Path) -> Bundle:
    """Raises InputError, Damaged or OSError when a file of the release is not what was written or is missing."""
    evidence = folder / FOLDER
    records = read_evidence(folder)
    assert records.recipe is not None
    index = EvidenceIndex.read(evidence / INDEX)
    hashes = {one.path: one.sha256 for one in index.files}
    return Bundle(
        records=records,
        manifests={
            stage: StageManifest.read(evidence / stage / "manifest.json")
            for stage in records.stages
            if (evidence / stage / "manifest.json").exists()
        },
        recipe=records.recipe,
        facts=RunFacts.read(folder / FACTS),
        export=Export.read(folder / EXPORT),
        index=index,
        environment=read_json(evidence / "environment.json"),
        sources=read_table(evidence / "data" / SOURCES),
        domains=read_table(evidence / "data" / DOMAINS),
        tables={name: hashes[f"data/{name}"] for name in (SOURCES, DOMAINS, SHARDS)},
        notices=Notices.read(folder / NOTICES).root if (folder / NOTICES).exists() else [],
    )


def documents(bundle: Bundle) -> dict[str, str]:
    """Name → text of every document, in UTF-8: the same evidence gives the same bytes."""
    return {
        CARD: render_card(
            bundle.records,
            bundle.facts,
            export=bundle.export,
            sources=bundle.sources,
            notices=bundle.notices,
        )
        + OWN_WORDS,
        BOM: json_text(
            bill_of_materials(
                bundle.recipe, bundle.records, bundle.facts, bundle.export, bundle.environment, bundle.sources
            )
        ),
        DATA_CARD: json_text(croissant(bundle.recipe, bundle.records, bundle.facts, bundle.tables)),
        SUMMARY: render_summary(bundle.recipe, bundle.records, bundle.facts, bundle.sources, bundle.domains),
        f"{FOLDER}/data/{SHARDS}": shards_table(bundle.records.shards),
    }


def write_documents(folder: Path) -> None:
    """Render the documents of a release anew; what was written by hand below the card's last line stays."""
    for name, text in documents(read_bundle(folder)).items():
        own = own_words(folder / CARD) if name == CARD else ""
        write_text(folder / name, text + own)


def own_words(card: Path) -> str:
    """What a person has written at the end of the card."""
    return card.read_text(encoding="utf-8").partition(OWN_WORDS)[2] if card.exists() else ""


def recomputed_facts(folder: Path) -> dict[str, Any]:
    """The facts as the evidence gives them, as plain values."""
    return run_facts(read_evidence(folder), read_cluster(folder / FOLDER)).as_json()
