"""The card: valid metadata, and every number of it is in the records."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from altiplano.recipe.cluster import Cluster
from altiplano.records import Benchmarks, Interval, TaskScore
from altiplano.records.run_records import read_records
from altiplano.release.documents.card import render_card
from altiplano.report.facts import run_facts

yaml = pytest.importorskip("yaml")


@pytest.fixture
def card(make_run: Callable[..., Path], cluster: Cluster) -> str:
    records = read_records(make_run())
    return render_card(records, run_facts(records, cluster))


def test_metadata(card: str) -> None:
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["license"] == "apache-2.0"
    assert metadata["language"] == ["de", "en"]
    assert metadata["library_name"] == "transformers"
    assert metadata["co2_eq_emissions"]["emissions"] == pytest.approx(3.024)
    results = metadata["model-index"][0]["results"]
    assert len(results) == 5
    assert results[-1]["dataset"]["name"] == "held-out web.en" and results[-1]["metrics"][0]["value"] == 1.25


@pytest.mark.parametrize(
    ("stated", "licence", "name"),
    [
        ("Apache-2.0", "apache-2.0", None),
        ("llama3.1", "llama3.1", None),
        ("My Company's Licence 1.0", "other", "my-company-s-licence-1.0"),
        ("proprietary", "other", "proprietary"),
        ("", None, None),
    ],
)
def test_a_licence_that_the_hub_does_not_know_is_other(
    make_run: Callable[..., Path], cluster: Cluster, stated: str, licence: str | None, name: str | None
) -> None:
    run = make_run()
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(recipe.replace('license = "Apache-2.0"', f'license = "{stated}"'))
    records = read_records(run)
    written = render_card(records, run_facts(records, cluster))
    metadata = yaml.safe_load(written.split("---\n")[1])
    assert (metadata.get("license"), metadata.get("license_name")) == (licence, name)
    assert f"Licence: {stated or 'not stated'}." in written


def test_both_temperatures_are_named_apart(card: str) -> None:
    assert "**T = 1.1370**" in card and "softmax(score / **4.236**)" in card
    assert "| peaks | 75 | 0.450 | 0.120 | 0.220 (0.180 to 0.260) | 0.055 |" in card


def test_hugging_face_reads_the_metadata(card: str) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card).data
    assert {result.dataset_name for result in data.eval_results} >= {"held-out web.en", "held-out code.code"}


def test_every_number_of_the_results_is_in_the_records(card: str, tmp_path: Path, cluster: Cluster) -> None:
    """Numbers in tables of results, to the digits printed, are values of the records (percentages as shares)."""
    workspace = tmp_path / "tiny"
    known: list[float] = []
    for file in workspace.rglob("*.json"):
        known += list(numbers_in(json.loads(file.read_text())))
    totals = json.loads((workspace / "tokenize" / "shards.json").read_text())["shards"]
    known += [sum(s[k] for s in totals if s["split"] == "train") for k in ("documents", "tokens", "bytes")]
    sections = re.split(r"^## ", card, flags=re.MULTILINE)
    checked = 0
    for section in sections:
        if section.startswith(("Training data", "Evaluation", "Calibration", "Red team")):
            for row in (line for line in section.splitlines() if line.startswith("| ")):
                for cell in row.split("|")[2:]:
                    for printed in re.findall(r"(?<![\w.])[-+]?\d[\d,]*\.?\d*%?(?![\w-])", cell):
                        checked += 1
                        assert is_known(printed, known), (printed, row)
    assert checked > 120


def test_benchmarks_stand_in_metadata_and_table(make_run: Callable[..., Path], cluster: Cluster) -> None:
    run = make_run()
    score = TaskScore(
        metric="accuracy_per_character",
        score=Interval(value=0.31, low=0.21, high=0.43),
        standard_error=0.05,
        items=80,
        clusters=40,
        chance=0.25,
        bits_per_byte=Interval(value=1.5, low=1.4, high=1.6),
        few_shot=5,
        cut=3,
    )
    found = Benchmarks(model="tiny", tasks={"plain:rc": score})
    (run / "evaluate" / "benchmarks").mkdir()
    found.write(run / "evaluate" / "benchmarks" / "benchmarks.json")
    records = read_records(run)
    card = render_card(records, run_facts(records, cluster))
    (last,) = yaml.safe_load(card.split("---\n")[1])["model-index"][0]["results"][-1:]
    assert last["dataset"] == {"type": "plain:rc", "name": "plain:rc, 5 examples"}
    assert last["metrics"] == [{"type": "accuracy_per_character", "name": "accuracy per character", "value": 0.31}]
    row = next(line for line in card.splitlines() if line.startswith("| plain:rc"))
    for part in ("0.310", "0.210–0.430", "0.250", "not told from chance", "1.500", "3 prompts lost their beginning"):
        assert part in row
    hub = pytest.importorskip("huggingface_hub")
    assert "plain:rc, 5 examples" in {result.dataset_name for result in hub.ModelCard(card).data.eval_results}


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers_in(v)]
    if isinstance(value, list):
        return [n for v in value for n in numbers_in(v)]
    if isinstance(value, str):
        return [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", value)]
    return [float(value)] if isinstance(value, int | float) and math.isfinite(value) else []


def is_known(printed: str, known: list[float]) -> bool:
    plain = printed.rstrip("%,").replace(",", "")
    digits = len(plain.partition(".")[2])
    value = float(plain) / (100 if printed.endswith("%") else 1)
    tolerance = 0.51 * 10 ** -(digits + (2 if printed.endswith("%") else 0)) + 1e-9
    return any(abs(value - other) <= tolerance for other in known)


def test_what_no_record_holds_is_not_stated(make_run: Callable[..., Path]) -> None:
    records = read_records(make_run(("curate", "tokenize")))
    card = render_card(records, run_facts(records))
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert "model-index" not in metadata and "co2_eq_emissions" not in metadata
    assert "**not stated parameters**" in card
    for section in ("Calibration", "Red team"):
        assert card.split(f"## {section}\n")[1].strip().startswith("not stated")


def test_tables_survive_what_text_may_hold(card: str) -> None:
    rows = [line for line in card.splitlines() if "prompts that ask for harm" in line]
    assert len(rows) == 1 and len(re.findall(r"(?<!\\)\|", rows[0])) == 8
