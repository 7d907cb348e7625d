"""The command line as a person meets it: help that teaches, and one clear line for every mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from altiplano.cli import STAGES, parser, run

COMMANDS = ["run", *STAGES, "recipe", "plan", "rehearse", "launch", "inspect", "report", "generate", "serve", "doctor"]


BAD_FORMAT = 'corpus.sources=[{name="a",domain="web",format="wrc",path="x"}]'


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_a_purpose_and_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"altiplano {command}" in text
    assert "example" in text
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.toml"], "nowhere.toml: no such file"),
        (["run", "quickstart", "--set", "optimizer.lr=1"], "optimizer.lr is not a known key"),
        (["run", "quickstart", "--set", "batch.tokens=-1"], "batch.tokens: Input should be greater than 0"),
        (["train", "quickstart", "--layout", "tp3"], "tp = 3 does not divide model.num_key_value_heads"),
        (["train", "quickstart", "--layout", "nonsense"], "is not a part of a layout"),
        (["train", "quickstart", "--steps", "0"], "--steps 0: give a number of steps above 0"),
        (["run", "quickstart", "--cluster", "moon"], "moon: no such file"),
        (["report", "nowhere"], "nowhere is not a run's folder"),
        (["generate", "nowhere", "a prompt"], "nowhere does not exist"),
        (["serve", "nowhere"], "nowhere does not exist"),
        (
            ["recipe", "validate", "quickstart", "--set", BAD_FORMAT],
            "corpus.sources 'a': format must be warc,",
        ),
        (["run", "quickstart", "--again"], "--again is now called --force"),
        (["train", "quickstart", "--view=wandb"], "--view is now called --log-to"),
    ],
)
def test_mistakes_are_one_line_and_exit_two(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*.parquet"))


def test_an_error_that_nobody_expected_does_not_wait_for_threads() -> None:
    """A rank that lost another one in the middle of a save would never end, and its node's agent wait for it."""
    script = (
        "import importlib, threading; cli = importlib.import_module('altiplano.cli.main')\n"
        "def run(arguments):\n    threading.Thread(target=threading.Event().wait).start()\n    raise KeyError(7)\n"
        "cli.run = run\ncli.main([])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and "KeyError: 7" in ended.stderr


def test_a_missing_corpus_names_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["curate", "small", "--set", f"corpus.root={tmp_path / 'none'}", "--workspace", str(tmp_path / "run")]
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert "corpus.root" in error
    assert not (tmp_path / "run" / "curate").exists()


def test_recipes_can_be_shown_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "show", "llama-3.1-405b"]) == 0
    shown = tmp_path / "shown.toml"
    shown.write_text(capsys.readouterr().out)
    assert run(["recipe", "validate", str(shown), "--cluster", "h100-2048"]) == 0
    assert "406B parameters; 894,070 steps of 2,048 sequences of 8,192 tokens" in capsys.readouterr().out


def test_the_core_imports_without_any_extra() -> None:
    """A training container holds neither Daft nor a server: their absence must not matter to the trainer."""
    extras = [
        "daft",
        "brotli",
        "trafilatura",
        "pyarrow",
        "phonenumbers",
        "starlette",
        "uvicorn",
        "transformers",
        "ray",
    ]
    code = (
        "import sys\n"
        f"class Absent:\n    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {extras!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import altiplano.cli, altiplano.training.worker, altiplano.evaluation.evaluate, altiplano.stages.run\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_missing_extras_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    from altiplano.errors import InputError
    from altiplano.tokens.encode import documents

    with pytest.raises(InputError, match=r"altiplano\[corpus\]"):
        list(documents([tmp_path]))
