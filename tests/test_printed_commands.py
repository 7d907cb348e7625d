"""Every command that is printed is run: cheap ones for real on a small run, others until their work would begin."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from once import built_once
from printed import ACTIONS, ROOT, Printed, advised, documented, helped, subcommands
from real_release import Released, released_once

from altiplano.cli import parser, run
from altiplano.stages.challenges import Auditor

# What nothing here can run, each with its reason.
EXEMPT = {
    "vllm serve FOLDER": "vLLM needs a GPU",
    "ray start --head": "Ray's own command; tests/corpus starts Ray from Python",
}
PLACEHOLDERS = {
    "PATH": "samples",
    "NAME": "quickstart",
    "ADDRESS": "127.0.0.1:1",
    "CONTEXT": "256",
    "TASK": "plain",
    "LIBRARY": "corpus",
}
COMMANDS = {one.text: one for one in [*documented(), *helped()]}
BEFORE = (
    "recipes",
    "clusters",
    "samples",
    "benchmarks",
    "tests",
    "Makefile",
    "pyproject.toml",
    "src",
    "constraints.txt",
    "requirements",
)


real_take = Auditor.take


class Begun(Exception):
    """The command was understood, its input read and checked; its work would begin."""


def begin(*_: Any, **__: Any) -> None:
    raise Begun


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the repository's, in which recipes/quickstart.toml is tiny and has been run to the end. Copied for
    every process of the tests, since two commands cannot work in one run."""
    mine = tmp_path_factory.mktemp("checkout")
    first = built_once(tmp_path_factory, "first-checkout", partial(build, released_once(tmp_path_factory)))
    return shutil.copytree(first, mine, symlinks=True, dirs_exist_ok=True)


def build(released: Released, folder: Path) -> None:
    folder.mkdir()
    for name in BEFORE:
        if name != "recipes":
            (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    shutil.copyfile(released.workspace.parent / "recipe.toml", folder / "recipes/quickstart.toml")
    shutil.copytree(released.workspace, folder / "runs/quickstart")
    (folder / "labels.json").write_text("{}")
    (folder / "TruthfulQA.csv").write_text("Question,Best Answer,Incorrect Answers\nIs it so?,No,Yes\n")
    with contextlib.chdir(folder):
        for command in (
            "run recipes/quickstart.toml",
            "evaluate runs/quickstart samples/benchmarks --limit 20",
            "redteam runs/quickstart --trials 1",
            "release key release.key",
            "release sign runs/quickstart/release --key release.key",
        ):
            assert run(command.split()) == 0
    for other in ("a", "b", "sample", "early"):
        (folder / "runs" / other).symlink_to("quickstart")
    shutil.copytree(folder / "runs/quickstart", folder / "runs/small")  # not a link: its recipe is written there
    launch = re.search(r"```toml\n(\[launch\].*?)```", (ROOT / "docs/guides/launch.md").read_text(), re.DOTALL)
    assert launch is not None
    site = (
        (ROOT / "clusters/h100-8.toml").read_text().replace("devices = 8", "devices = 128").replace("dp = 4", "dp = 64")
    )
    for name in ("my-cluster.toml", "CLUSTER.toml"):
        (folder / name).write_text(f"{site}\n{launch[1]}")


def run_python(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def take(auditor: Auditor, count: int) -> Iterator[Any]:
    """A challenge may train or curate again: one of one command is enough here, release/test_audit_command.py tries
    every kind."""
    return begin() if count > 5 else real_take(auditor, 1)


@pytest.fixture
def prepared(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In that folder, with work that takes minutes, or a GPU, replaced by ``begin``."""
    import altiplano.stages.run as stages

    real = stages.run_stage

    def run_stage(stage: Any, context: Any, **options: Any) -> Any:
        is_built = context.workspace == Path("runs/quickstart") and context.engine == "local"
        return real(stage, context, **options) if is_built else begin()

    monkeypatch.chdir(checkout)
    monkeypatch.setattr("altiplano.stages.run.run_stage", run_stage)
    monkeypatch.setattr("altiplano.stages.run.check_device", lambda cluster: None)
    monkeypatch.setattr("altiplano.redteam.attack.attack", begin)
    monkeypatch.setattr("altiplano.cli.asked_model.on_ranks", begin)
    monkeypatch.setattr("altiplano.redteam.judge.ask_judge", begin)
    monkeypatch.setattr("altiplano.redteam.outside.require_garak", lambda: None)
    monkeypatch.setattr("altiplano.stages.forget.prepare", begin)
    monkeypatch.setattr("altiplano.stages.challenges.Auditor.take", take)
    monkeypatch.setattr("altiplano.redteam.planted.power.train_small", begin)
    monkeypatch.setattr("altiplano.rehearsal.rehearse.run_rank", begin)
    monkeypatch.setattr("altiplano.release.notices.add_notice", begin)  # it would withdraw what others test
    monkeypatch.setattr("altiplano.release.push.push", begin)
    monkeypatch.setattr("altiplano.training.accounting.hardware.hardware_file", begin)
    monkeypatch.setattr("altiplano.launch.submit.shutil", SimpleNamespace(which=str))
    monkeypatch.setattr("altiplano.launch.submit.subprocess", SimpleNamespace(run=begin))
    return checkout


@pytest.mark.parametrize("text", COMMANDS, ids=lambda text: re.sub(r"[^ -~]", "", text)[:90])
def test_a_printed_command_works(text: str, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(text, comments=True)
    if " ".join(words) in EXEMPT:
        return
    if len(words) == 1 or (words[0] == "altiplano" and words[1:] in [[name] for name in subcommands()]):
        return  # the name alone: a mention
    if words[:2] == ["altiplano", "release"] and len(words) == 3 and words[2] in ACTIONS:
        return  # so, too
    RUN[words[0]](words, monkeypatch)


def altiplano(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if words[1:] == ["COMMAND", "--help"]:
        words[1:] = ["plan", "--help"]
    arguments = [filled_in(word, words[1]) for word in words[1:]]
    if arguments[:2] == ["release", "key"]:
        arguments[2] = f"another-{arguments[2]}"  # a key is not written over another
    if "serve" in arguments:
        monkeypatch.setattr("uvicorn.Server.run", begin)
        arguments += ["--port", "0"]  # the last one counts, and 8000 may be taken
    if arguments[0] == "release" and {"verify", "push"} & {*arguments} and not Path(arguments[2], "model.sig").exists():
        # another printed command has released again
        assert run(["release", "sign", arguments[2], "--key", "release.key"]) == 0
    if "doctor" in arguments and "--measure" not in arguments:
        pytest.importorskip("safetensors")
    try:
        code = run(arguments)
    except Begun:
        return
    except SystemExit as help_shown:
        code = int(str(help_shown.code))
    assert code == 0


def filled_in(word: str, command: str) -> str:
    """What a user would put for a placeholder."""
    if command == "release" and word in ("KEY", "KEY.pub"):
        return word.replace("KEY", "release.key")
    if word == "RECIPE":
        return "llama-3.1-8b" if command == "rehearse" else "recipes/quickstart.toml"
    if word == "FOLDER":
        return "runs/quickstart" if command == "run" else "runs/quickstart/release"
    word = re.sub(r"\b[A-Z]{4,}\b", lambda name: PLACEHOLDERS.get(name[0], name[0]), word)
    word = re.sub(r"step-\d+", newest().name, word).replace("/shared/", "shared/")
    if command == "inspect" and word in ("short lines", "too short"):
        return next(one["reason"] for one in documents() if one["reason"])
    if command == "inspect" and re.fullmatch(r"[0-9a-f]{6,8}", word):
        return documents()[0]["id"][:8]
    if word == "DOCUMENT":
        return next(one["id"] for one in documents() if one["split"] == "train")
    if command == "inspect" and word.startswith("https://"):
        return next(one["url"] for one in documents() if one["url"])
    return word


def newest() -> Path:
    return sorted(Path("runs/quickstart/train/checkpoints").glob("step-*"))[-1]


def documents() -> list[dict[str, Any]]:
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(
        "runs/quickstart/curate/documents", columns=["id", "url", "reason", "split"]
    ).to_pylist()
    return rows


def make(words: list[str], _: pytest.MonkeyPatch) -> None:
    done = subprocess.run(["make", "--dry-run", *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def python(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own modules and scripts take minutes: they must exist and know every option that is given."""
    if words[1] == "-m" and words[2] == "altiplano.planning.published.check_errors":
        run_python(Path.cwd(), *words[1:])
        return
    if words[1:3] == ["-m", "altiplano.lm_eval"]:
        registered(words)
        return
    file = Path("src", *words[2].split(".")).with_suffix(".py") if words[1] == "-m" else Path(words[1])
    text = file.read_text()
    compile(text, str(file), "exec")
    for option in (word for word in words if word.startswith("--")):
        assert option in text, f"{file} has no {option}"


def torchrun(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.run import get_args_parser

    known = get_args_parser().parse_args(words[1:])
    assert known.module and known.training_script == "altiplano"
    altiplano(["altiplano", *known.training_script_args], monkeypatch)


def pip(words: list[str], _: pytest.MonkeyPatch) -> None:
    import tomllib

    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
    name = re.fullmatch(r"altiplano\[(\w+)\]", words[-1])
    assert words[1] == "install" and name is not None and name[1] in extras


def curl(words: list[str], _: pytest.MonkeyPatch) -> None:
    testclient = pytest.importorskip("starlette.testclient")
    from altiplano.inference.language_model import load_language_model
    from altiplano.inference.service import application

    client = testclient.TestClient(application(load_language_model(Path("runs/quickstart/release"))))
    (address,) = [word for word in words if "/v1/" in word]
    answer = client.post("/" + address.partition("/")[2], content=words[words.index("-d") + 1])
    assert answer.status_code == 200, answer.text


def registered(words: list[str]) -> None:
    """The model that our module registers with lm-evaluation-harness, of the arguments that are printed."""
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    from lm_eval.api.registry import get_model
    from lm_eval.utils import simple_parse_args_string

    import altiplano.lm_eval

    given = simple_parse_args_string(words[words.index("--model_args") + 1])
    model = get_model(words[words.index("--model") + 1])(**given)
    assert isinstance(model, altiplano.lm_eval.AltiplanoLM) and model.tok_encode("The")[0] == model.prefix_token_id


def lm_eval(words: list[str], _: pytest.MonkeyPatch) -> None:
    """Its options and the model's, as lm-evaluation-harness reads them; the numbers were compared by hand."""
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    pytest.importorskip("tenacity", reason="lm_eval[api] is not installed")
    from lm_eval.api.registry import get_model
    from lm_eval.utils import simple_parse_args_string

    given = simple_parse_args_string(filled_in(words[words.index("--model_args") + 1], "lm_eval"))
    model = get_model(words[words.index("--model") + 1])(**given | {"tokenizer": "runs/quickstart/release"})
    context = json.loads(Path("runs/quickstart/release/config.json").read_text())["max_position_embeddings"]
    assert model.max_length == context - 1 and model.tok_encode("The")[0] == model.prefix_token_id


RUN: dict[str, Callable[[list[str], pytest.MonkeyPatch], None]] = {
    "altiplano": altiplano,
    "make": make,
    "python": python,
    "torchrun": torchrun,
    "pip": pip,
    "curl": curl,
    "lm_eval": lm_eval,
}


@pytest.mark.parametrize("one", advised(), ids=lambda one: f"{one.place}: {one.text}")
def test_advice_is_a_command(one: Printed) -> None:
    """What a message advises, read by the real parser with something in every gap."""
    words = shlex.split(re.sub(r"\{[^}]*\}", "3", one.text))
    arguments = [word for word in words[2:] if word not in ACTIONS]
    if arguments:
        parser().parse_args(words[1:])
    else:  # its name alone
        assert words[1] in subcommands()


def test_nothing_is_exempt_that_is_not_printed() -> None:
    assert {" ".join(shlex.split(text, comments=True)) for text in COMMANDS} >= EXEMPT.keys()


def test_a_new_command_cannot_escape() -> None:
    """The README's table, every subcommand's help and the false ones of the past are among what is found."""
    texts = " ".join(COMMANDS)
    for name in subcommands():
        assert f"altiplano {name}" in texts, name
    assert 'altiplano generate FOLDER "The"' in COMMANDS
    assert any(one.text.startswith("altiplano doctor --measure") for one in advised())
