"""Benchmarks scored during training, under any layout, are those of the finished model on one process."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small import SMALL
from trainings import records, run

from altiplano.benchmarks.asking import answer_items
from altiplano.benchmarks.readers.read import read_all
from altiplano.benchmarks.summary import summarise
from altiplano.inference.language_model import load_language_model
from altiplano.records import TaskScore

SAMPLES = Path("samples/benchmarks").resolve()
SCORED = [*SMALL, "precision.compute=float64", f'evaluation.benchmarks=["{SAMPLES}"]', "evaluation.benchmark_items=20"]


@pytest.fixture(scope="module")
def alone(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    run(folder, tokenized, "dp1", SCORED)
    return folder


def scores(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [record["benchmarks"] for record in records(folder / "heldout.jsonl")]
    return found


def test_in_the_loop_as_offline(alone: Path, tokenized: Path) -> None:
    served = load_language_model(alone / "weights", torch.float64, tokenizer=tokenized / "tokenizer")
    assert len(scores(alone)) == 3
    for task in read_all([SAMPLES]):
        offline = summarise(task, answer_items(served, task, task.first(20)))
        in_loop = TaskScore.model_validate(scores(alone)[-1][task.name])
        assert in_loop.score == offline.score and in_loop.items == 20
        assert in_loop.bits_per_byte is not None and offline.bits_per_byte is not None
        # the finished weights are float32, those in training float64
        assert in_loop.bits_per_byte.value == pytest.approx(offline.bits_per_byte.value, rel=1e-6)


@pytest.mark.parametrize(
    "layout", ["tp2", *(pytest.param(one, marks=pytest.mark.slow) for one in ("dp2", "pp2", "cp2", "dp2.tp2.pp2"))]
)
def test_a_layout_changes_nothing(alone: Path, tokenized: Path, tmp_path: Path, layout: str) -> None:
    run(tmp_path, tokenized, layout, SCORED)
    for ours, theirs in zip(scores(tmp_path), scores(alone), strict=True):
        for name, score in theirs.items():
            assert ours[name]["score"] == score["score"]
            assert ours[name]["bits_per_byte"]["value"] == pytest.approx(score["bits_per_byte"]["value"], rel=1e-9)
