"""Published results are verified whenever a stage uses them: what has changed on the disk is not spread."""

import os
from pathlib import Path

import pytest
from stages.test_stage import FIRST, SECOND, context

from altiplano.benchmarks.contamination import training_text
from altiplano.cli.main import run
from altiplano.corpus.decontamination.index import benchmark_files
from altiplano.errors import InputError
from altiplano.inspect.curated_run import Curated
from altiplano.recipe.schema import CorpusConfig
from altiplano.redteam.transcript import read_transcript
from altiplano.release import evidence
from altiplano.stages.stage import check_result, run_stage
from altiplano.storage import BLOCK_BYTES, BLOCKS, all_in, listed, sampled_digest


def flip(file: Path, place: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[place] ^= 1
    file.write_bytes(raw)


@pytest.mark.parametrize("how", ["flipped", "longer", "missing"])
def test_a_stage_refuses_an_input_that_has_changed(how: str, tmp_path: Path) -> None:
    run_stage(FIRST, context(tmp_path))
    file = tmp_path / "first" / "text.txt"
    before = file.read_bytes()
    flip(file, 2)
    if how == "longer":
        file.write_bytes(before + b"\n")
    elif how == "missing":
        file.unlink()
    with pytest.raises(InputError, match=r"text\.txt is .*altiplano first RECIPE --force"):
        run_stage(SECOND, context(tmp_path))
    assert not (tmp_path / "second").exists()
    file.write_bytes(before)
    assert not run_stage(SECOND, context(tmp_path)).skipped
    (tmp_path / "first" / "when.txt").write_text("measured values may be added to")
    check_result(tmp_path, "first", deep=True)


def test_blocks_of_a_large_file_are_sampled_and_all_of_it_when_it_matters(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(3 * BLOCKS * BLOCK_BYTES))
    found = sampled_digest(file)
    for place in (0, file.stat().st_size // 2, -1):
        flip(file, place)
        changed = sampled_digest(file) != found
        flip(file, place)
        assert changed == (place in (0, -1))  # the middle lies between two blocks
    small = tmp_path / "small"
    small.write_bytes(bytes(BLOCKS * BLOCK_BYTES))
    found = sampled_digest(small)
    flip(small, 7 * BLOCK_BYTES + 5)
    assert sampled_digest(small) != found


def test_doctor_reads_every_byte_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_stage(FIRST, context(tmp_path))
    (tmp_path / "first").rename(tmp_path / "curate")
    assert run(["doctor", "--deep", str(tmp_path)]) == 0
    flip(tmp_path / "curate" / "text.txt", 0)
    assert run(["doctor", "--deep", str(tmp_path)]) == 1
    assert "text.txt is not what first wrote" in capsys.readouterr().out
    assert run(["doctor", "--deep", str(tmp_path / "curate")]) == 2


@pytest.mark.parametrize("what", [listed, lambda folder, _: all_in(folder)])
def test_a_folder_that_cannot_be_listed_is_not_empty(what, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a.txt").touch()
    assert what(tmp_path, "*.txt") == [tmp_path / "a.txt"]

    def refused(folder: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.listdir", refused)
    monkeypatch.setattr("os.scandir", refused)
    with pytest.raises(PermissionError):
        what(tmp_path, "*.txt")


@pytest.mark.parametrize(
    "read",
    [
        read_transcript,
        evidence.read_answers,
        lambda folder: evidence._matching(folder, ("**/*.parquet",)),
        training_text,
        lambda folder: Curated(folder, folder, None, None).parts,  # type: ignore[arg-type]
        lambda folder: benchmark_files(CorpusConfig.model_construct(root=folder, benchmarks=("*/*.jsonl",))),
    ],
    ids=["transcript", "answers", "evidence", "contamination", "inspect", "benchmarks"],
)
def test_what_may_not_be_listed_is_not_left_out(read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """Path.glob takes a folder without permission for an empty one."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "tasks.jsonl").write_text("{}")
    (tmp_path / "audit.json").write_text("{}")
    for name in ("transcript", "documents", "closed"):
        (tmp_path / name).mkdir()
    scandir, listdir = os.scandir, os.listdir

    def refusing(original):  # type: ignore[no-untyped-def]
        def refused(folder=".") -> object:  # type: ignore[no-untyped-def]
            if Path(folder).name in ("transcript", "documents", "closed"):
                raise PermissionError(13, "Permission denied", str(folder))
            return original(folder)

        return refused

    monkeypatch.setattr("os.scandir", refusing(scandir))
    monkeypatch.setattr("os.listdir", refusing(listdir))
    with pytest.raises((PermissionError, InputError), match="Permission denied"):
        read(tmp_path)
