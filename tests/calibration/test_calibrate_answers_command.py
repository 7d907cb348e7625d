"""``altiplano calibrate FOLDER``: what it writes, prints and refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from answer_folders import evaluated

from altiplano.benchmarks.answers import read_answers, write_answers
from altiplano.benchmarks.evaluated import read_evaluation
from altiplano.cli.main import run
from altiplano.records import AnswerCalibration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    evaluated(tmp_path / "model", ("a", "b", "c"))
    return tmp_path / "model"


def test_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", str(folder)]) == 0
    said = capsys.readouterr().out
    found = AnswerCalibration.read(folder / "answer_calibration.json")
    assert found.answer_temperature.tasks == ["a", "b", "c"] and found.together.items == 1200
    for words in ("a", "fitted on", "Platt", "per character", f"{found.answer_temperature.value:.3g}"):
        assert words in said
    page = (folder / "answer_calibration.html").read_text()
    assert page.count("<svg") == 1 + 4 + 3  # the mark, four figures of all tasks, one of each
    assert "not for" in page or "another number than the temperature for sampling" in page
    assert "://" not in page.replace("http://www.w3.org", "")


def test_fit_on_and_normalisation(folder: Path, tmp_path: Path) -> None:
    options = ["--fit-on", "a", "b", "--normalisation", "sum", "--output", str(tmp_path / "out")]
    assert run(["calibrate", str(folder), *options]) == 0
    found = AnswerCalibration.read(tmp_path / "out" / "answer_calibration.json")
    assert found.answer_temperature.tasks == ["a", "b"] and set(found.tasks) == {"c"}
    assert found.answer_temperature.value == pytest.approx(3, rel=0.15)
    assert not (folder / "answer_calibration.json").exists()


def test_the_answers_are_those_that_were_scored(folder: Path) -> None:
    """Others of another --limit lie beside them; an item's name need not be the only one."""
    evaluated(folder / "more", ("a@10",))
    (folder / "more" / "answers" / "a@10").rename(folder / "answers" / "a@10")
    (folder / "answers" / "a@10" / "000128.parquet").unlink()
    answers = read_answers([folder / "answers" / "b" / "000000.parquet"])
    write_answers(folder / "answers" / "b" / "000000.parquet", [replace(one, item="same") for one in answers])
    result, found = read_evaluation(folder)
    assert {name: len(rows) for name, rows in found.items()} == {
        "a": 400,
        "b": 400,
        "c": 400,
    } and result.model == "tiny"


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(words: str, *arguments: object) -> None:
        assert run(["calibrate", *(str(one) for one in arguments)]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1

    refused("evaluate a model first", tmp_path)
    refused("--fit-on", "quickstart", "--fit-on", "a")
    refused("d is not a task", folder, "--fit-on", "d")
    refused("no such normalisation", folder, "--normalisation", "none")
    evaluated(tmp_path / "one", ("a",))
    refused("1 of the tasks offer choices", tmp_path / "one")
    (folder / "recipe.toml").touch()
    refused(f"altiplano calibrate {folder}/recipe.toml", folder)
    (folder / "recipe.toml").unlink()
    (folder.parent / "manifest.json").touch()
    refused("give another folder with --output", folder)
    (folder.parent / "manifest.json").unlink()
    (folder / "answers" / "b" / "000128.parquet").unlink()
    refused("128 answers to b, benchmarks.json counts 400", folder)
    (folder / "answers" / "b" / "000128.parquet").write_bytes(b"PAR1")
    refused("damaged", folder)
    (folder / "benchmarks.json").write_text(json.dumps([]))
    refused("benchmarks.json", folder)
