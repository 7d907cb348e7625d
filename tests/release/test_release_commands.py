"""``altiplano release key, sign, verify, correct, withdraw, push``: what is printed, and what becomes of mistakes."""

import builtins
from pathlib import Path
from typing import Any

import pytest
from real_release import Released

from altiplano.cli import run

FOLDER = "run/release"


@pytest.fixture
def here(released: Released, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder beside the release's workspace, as the current one."""
    place = released.workspace.parent
    monkeypatch.chdir(place)
    return place


def test_from_key_to_withdrawal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["release", "key", "my.key"]) == 0
    assert Path("my.key").stat().st_mode & 0o777 == 0o600
    assert run(["release", "sign", FOLDER, "--key", "my.key"]) == 0
    assert "files were read" in capsys.readouterr().out
    assert run(["release", "verify", FOLDER, "--key", "my.key.pub"]) == 0
    assert capsys.readouterr().out == (
        f"✓ {FOLDER}: signed by the key of my.key.pub; every figure follows from its evidence\n"
    )
    assert run(["release", "correct", FOLDER, "--text", "A source was misspelt."]) == 0
    assert "sign it again: altiplano release sign" in capsys.readouterr().out
    assert run(["release", "verify", FOLDER, "--key", "my.key.pub"]) == 1
    assert run(["release", "sign", FOLDER, "--key", "my.key"]) == 0
    assert run(["release", "verify", FOLDER, "--key", "my.key.pub"]) == 0
    assert run(["release", "withdraw", FOLDER, "--text", "It repeats an address."]) == 0
    assert run(["release", "sign", FOLDER, "--key", "my.key"]) == 0
    capsys.readouterr()
    assert run(["release", "verify", FOLDER, "--key", "my.key.pub"]) == 1
    shown = capsys.readouterr()
    assert "✗ notices.json: withdrawn on" in shown.out and "does not verify" in shown.err


def test_the_folder_of_the_run_will_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["release", "verify", "run", "--unsigned"]) == 0
    assert f"✓ {FOLDER}: " in capsys.readouterr().out


def test_unsigned(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / FOLDER / "model.sig").unlink()
    assert run(["release", "verify", FOLDER, "--unsigned"]) == 0
    assert "its signature was not looked at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", FOLDER], "needs --key KEY, the publisher's public key"),
        (["push", FOLDER, "--to", "a/b"], "needs --key KEY, the publisher's public key"),
        (["push", FOLDER, "--unsigned"], "give ORGANISATION/NAME"),
        (["verify"], "name the release's folder"),
        (["key"], "name the file to write"),
        (["sign", FOLDER], "sign needs --key KEY"),
        (["sign", FOLDER, "--key", "none.key"], "none.key: no such key"),
        (["sign", FOLDER, "--key", "rubbish.key"], "rubbish.key cannot sign"),
        (["sign", FOLDER, "--key", f"{FOLDER}/config.json"], "a key must come from elsewhere"),
        (["key", "rubbish.key"], "is there already"),
        (["verify", "nowhere", "--unsigned"], "nowhere is no release"),
        (["correct", FOLDER], "say why"),
        (["withdraw", FOLDER, "--text", " "], "say why"),
        (["recipes/quickstart.toml", FOLDER], "is no action: give one of key, sign"),
    ],
)
def test_mistakes_are_one_line(here: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "rubbish.key").write_text("no key")
    assert run(["release", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_without_the_optional_packages(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing but signatures needs them."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] in ("model_signing", "cryptography", "huggingface_hub"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr("importlib.import_module", lambda name: without(name, fromlist=["x"]))
    assert run(["release", "verify", FOLDER, "--unsigned"]) == 0
    for arguments in (["key", "my.key"], ["verify", FOLDER, "--key", str(here / "run.pub")]):
        (here / "run.pub").write_text("x")
        capsys.readouterr()
        assert run(["release", *arguments]) == 2
        assert (
            capsys.readouterr().err
            == 'altiplano: signing needs the optional packages: pip install "altiplano[release]"\n'
        )
