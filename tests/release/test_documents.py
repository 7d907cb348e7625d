"""A release's documents in other people's hands: each is validated by the library of its format."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from real_release import Released

from altiplano.model.weights import load_model
from altiplano.records import Export, RunFacts
from altiplano.release.documents.bill_of_materials import compute
from altiplano.release.documents.data_statistics import sites_to_name, website
from altiplano.release.documents.eu_summary import render_summary, text_size
from altiplano.release.documents.licences import SPDX, is_spdx_expression, spdx_licence
from altiplano.release.evidence import read_evidence, read_recipe


def test_the_bill_of_materials_is_cyclonedx(first_release: Released) -> None:
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (first_release.folder / "bom.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_7)
    problem = validator.validate_str(text)
    assert problem is None, problem
    assert validator.validate_str(text.replace('"id": "Apache-2.0"', '"id": "Apache"')) is not None


def test_every_licence_that_we_call_spdx_is_in_its_list() -> None:
    cyclonedx = pytest.importorskip("cyclonedx")
    (schema,) = Path(cyclonedx.__file__).parent.rglob("spdx*.schema.json")
    assert set(SPDX.values()) <= set(json.loads(schema.read_text())["enum"])


@pytest.mark.parametrize(
    ("name", "identifier", "is_expression"),
    [
        ("apache-2.0", "Apache-2.0", True),
        ("MIT OR Apache-2.0", "", True),
        ("(MIT AND CC-BY-4.0) OR 0BSD", "", True),
        ("llama3.1", "", False),
        ("MIT OR whatever", "", False),
        ("", "", False),
        ("(MIT", "", False),
    ],
)
def test_licences(name: str, identifier: str, is_expression: bool) -> None:
    assert (spdx_licence(name), is_spdx_expression(name)) == (identifier, is_expression)


def test_the_bill_names_data_with_licences_and_energy(first_release: Released) -> None:
    bom = json.loads((first_release.folder / "bom.json").read_text())
    by_name = {one["bom-ref"]: one for one in bom["components"]}
    assert by_name["data:samples-web"]["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]
    assert by_name["data:samples-code"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert by_name["data:samples-glossary"]["licenses"] == [{"license": {"name": "A licence of their own"}}]
    assert by_name["data:samples-academic"]["licenses"] == [{"license": {"name": "NOASSERTION"}}]
    assert any(ref.startswith("pkg:pypi/torch@") for ref in by_name)
    card = bom["metadata"]["component"]["modelCard"]
    facts = RunFacts.read(first_release.folder / "facts.json")
    (energy,) = card["considerations"]["environmentalConsiderations"]["energyConsumptions"]
    assert energy["activityEnergyCost"]["value"] == facts.energy_kwh
    assert energy["co2CostEquivalent"]["value"] * 1000 == pytest.approx(facts.co2_kg)
    assert {"held-out web.en", "python", "extraction"} <= {
        one["slice"] for one in card["quantitativeAnalysis"]["performanceMetrics"]
    }


def test_the_data_card_is_croissant_and_its_tables_load(first_release: Released) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(str(first_release.folder / "croissant.json"))
    assert not dataset.metadata.issues.errors
    rows = [*dataset.records("sources")]
    table = [*csv.DictReader((first_release.folder / "evidence/data/sources.csv").open())]
    assert len(rows) == len(table) > 10
    assert sum(row["sources/bytes"] for row in rows) == sum(int(row["bytes"]) for row in table)
    assert {row["domains/website"] for row in dataset.records("domains")} == {b"magazine.example"}
    shards = {row["shards/sha256"].decode() for row in dataset.records("shards")}
    assert shards == {one.sha256 for one in read_evidence(first_release.folder).shards}


def test_the_cards_metadata_and_python_run(first_release: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    card = (first_release.folder / "README.md").read_text()
    data = hub.ModelCard(card).data
    assert data.license == "apache-2.0" and data.co2_eq_emissions["emissions"] > 0
    assert {"held-out web.en", "python", "endings"} <= {one.dataset_name for one in data.eval_results}
    monkeypatch.chdir(first_release.folder)
    blocks = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(blocks) == 2
    known: dict[str, Any] = {}
    for block in blocks:
        exec(block, known)


def test_rounded_weights_are_the_trained_ones_rounded(first_release: Released) -> None:
    trained, found = (load_model(first_release.workspace / name) for name in ("train/weights", "release"))
    for name, value in trained.state_dict().items():
        assert torch.equal(value.bfloat16().float(), found.state_dict()[name]), name
    export = Export.read(first_release.folder / "export.json")
    assert (export.trained_dtype, export.dtype) == ("float32", "bfloat16")
    assert export.tokens and export.trained_loss and export.released_loss and export.largest_logit_difference
    assert 0 < abs(export.released_loss - export.trained_loss) < 0.02
    assert json.loads((first_release.folder / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_nothing_personal_and_no_text_is_in_the_evidence(first_release: Released) -> None:
    evidence = first_release.folder / "evidence"
    everything = "\n".join(
        path.read_text() for path in evidence.rglob("*") if path.suffix in (".json", ".jsonl", ".toml", ".csv")
    )
    assert str(Path.home()) not in everything and str(first_release.workspace) not in everything
    assert "/samples" not in everything
    audit = json.loads((first_release.workspace / "curate" / "audit.json").read_text())
    assert audit["salt"] and audit["salt"] not in everything
    for example in audit["examples"]:
        assert example["text"][:60] not in everything
    left_out = {one["path"]: one["why"] for one in json.loads((evidence / "index.json").read_text())["left_out"]}
    assert {"curate/documents", "curate/personal_data", "tokenize/train", "train/checkpoints"} <= left_out.keys()


def test_the_summary_follows_the_template(first_release: Released) -> None:
    text = (first_release.folder / "training-content-summary.md").read_text()
    parts = re.findall(r"^#+ (\d[.\d]*) ", text, re.MULTILINE)
    wanted = {"1.": 3, "2.": 6, "3.": 3}
    expected = [one for part, count in wanted.items() for one in (part, *(f"{part}{n + 1}" for n in range(count)))]
    expected[expected.index("2.2") + 1 : expected.index("2.3")] = ["2.2.1", "2.2.2"]
    assert parts == expected
    assert "| provider name | Example Press (stated) |" in text
    assert "| authorised representative, contact details | not stated |" in text
    assert "less than 1 billion tokens" in text and "| magazine.example |" in text
    assert "The magazine \\| its archive" in text  # a cell stays a cell
    assert "2026-01 to 2026-03 (stated)" in text and "yes (stated)" in text
    assert "**This model is not**" in text and "Article 55(1)" not in text


def test_a_model_above_1e25_has_a_part_on_systemic_risk(first_release: Released) -> None:
    folder = first_release.folder
    records, recipe = read_evidence(folder), read_recipe(folder / "evidence")
    facts = RunFacts.read(folder / "facts.json")
    large = facts.model_copy(update={"parameters": 405_853_388_800, "tokens": 15_000_000_000_000})
    flop = compute(large)
    assert flop == pytest.approx(3.65e25, rel=0.01)  # the source recipe
    text = render_summary(recipe, records, large, [], [])
    assert "**This model is above**" in text and "more than 10 trillion tokens" in text
    for part in ("Model evaluation", "Adversarial testing", "Serious incidents and security"):
        assert f"### {part} (Article 55(1)" in text
    assert "incidents@press.example (stated)" in text and "| extraction |" in text
    below = facts.model_copy(update={"parameters": 10**12, "tokens": 1_666_666_666_666})
    assert "**This model is not**" in render_summary(recipe, records, below, [], [])


@pytest.mark.parametrize(
    ("tokens", "words"), [(10**9 - 1, "less than"), (10**9, "1 billion to"), (10**13, "more than")]
)
def test_sizes_of_text(tokens: int, words: str) -> None:
    assert text_size(tokens).startswith(words)


@pytest.mark.parametrize(
    ("sites", "small", "named"),
    [(5, False, 1), (1000, False, 100), (500, True, 500), (30_000, True, 1500), (3000, True, 1000), (0, False, 0)],
)
def test_how_many_web_sites_are_named(sites: int, small: bool, named: int) -> None:
    assert sites_to_name(sites, small) == named


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.a.example/x", "a.example"),
        ("http://B.example:80", "b.example"),
        ("x.txt", ""),
        (None, ""),
        ("http://[", ""),
    ],
)
def test_websites(url: str | None, host: str) -> None:
    assert website(url) == host
