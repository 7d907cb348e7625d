"""A file that is cut short, or that a failing disk hides, is never taken for one that is not there."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from altiplano.benchmarks import run as benchmarks
from altiplano.errors import InputError
from altiplano.inspect.curated_run import open_curated
from altiplano.redteam import judge, runner
from altiplano.tokens import tokenizer
from altiplano.trace import training_order
from altiplano.trace.build import curate_hash
from altiplano.training.checkpoints.checkpoint import is_trained

SERVED: Any = SimpleNamespace(name="m", temperature=1.0)
READERS: dict[str, Callable[[Path], Any]] = {
    runner.PLAN: lambda folder: runner._claim(folder, SERVED, [], 8, 1, "f"),
    benchmarks.SETTINGS: lambda folder: benchmarks._claim(folder, SERVED, [], "f", False),
    judge.JUDGE: lambda folder: judge.ask_judge(folder, [], "http://nowhere", "m"),
    "curate/audit.json": open_curated,
    "tokenize/manifest.json": curate_hash,
    "train/manifest.json": lambda folder: training_order._settings(folder, "train", None),
    ".work/train-0123456789ab/wanted.json": lambda folder: training_order._settings(folder, "train", None),
    "config.json": lambda folder: tokenizer.special_names(folder, SimpleNamespace(get_vocab=lambda **_: {})),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_named_and_left_alone(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"a": ')
    with pytest.raises(InputError, match=rf"{file.name} is damaged .*: ."):
        READERS[name](tmp_path)
    assert file.read_text() == '{"a": '


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_cannot_be_read_is_not_absent(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir(parents=True)  # cannot be read as a file, by root neither
    with pytest.raises(IsADirectoryError):
        READERS[name](tmp_path)


def test_a_folder_that_is_a_file_has_no_summary(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("")
    assert not is_trained(tmp_path / "train", 4)
