"""``altiplano evaluate MODEL TASK…``: interrupted, killed, gone on with, refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from altiplano.benchmarks.answers import read_answers
from altiplano.benchmarks.readers.read import read_tasks
from altiplano.benchmarks.run import evaluate_tasks
from altiplano.cli.main import run
from altiplano.errors import InputError
from altiplano.inference.language_model import load_language_model
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.schema import ModelConfig
from altiplano.records import Benchmarks
from altiplano.tokens.tokenizer import Tokenizer

torch.set_num_threads(1)
SAMPLES = Path("samples/benchmarks").resolve()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    tokenizer = Tokenizer.train(["The wind is cold and the river is wide. def f(x): return x\n"] * 3, 530)
    shape = ModelConfig(
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=48,
        vocab_size=tokenizer.vocab_size,
    )
    torch.manual_seed(0)
    save_weights(Llama(shape).named_parameters(), folder)
    config = hugging_face_config(shape, 256, tokenizer.bos, tokenizer.eos)
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save(folder)
    return folder


def test_command(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", str(model), str(SAMPLES), "--output", str(tmp_path / "out"), "--limit", "10"]
    assert run(command) == 0
    assert "endings" in capsys.readouterr().out
    found = Benchmarks.read(tmp_path / "out" / "benchmarks.json")
    assert {name: score.items for name, score in found.tasks.items()} == {"endings": 10, "python": 10}
    answers = read_answers(sorted((tmp_path / "out" / "answers" / "endings@10").glob("*.parquet")))
    assert len(answers) == 10 and all(len(answer.logprobs) == 4 for answer in answers)
    assert found.tasks["endings"].score.value == sum(answer.score for answer in answers) / 10
    page = (tmp_path / "out" / "answers.html").read_text()
    assert page.count("<details") == 20 and "://" not in page.replace("http://www.w3.org", "")
    assert run([*command[:-1], "11"]) == 0  # other items of the same model
    assert Benchmarks.read(tmp_path / "out" / "benchmarks.json").tasks["python"].items == 11


def test_what_cannot_be_evaluated(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        ([str(model)], "name the benchmarks"),
        ([str(model), "nothing.toml"], "nothing.toml is not there"),
        (["quickstart", str(SAMPLES)], "tasks are for"),
        ([str(tmp_path), str(SAMPLES)], "config.json is missing"),
        ([str(model), str(SAMPLES), "--limit", "0"], "--limit 0"),
        ([str(model), str(SAMPLES), str(SAMPLES / "python.toml")], "two tasks are called python"),
    ):
        assert run(["evaluate", *arguments, "--output", str(tmp_path / "none")]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    (tmp_path / "tokenizer.json").write_text("{}")


def test_a_recipe_by_its_name_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from altiplano.cli.arguments import is_folder

    monkeypatch.chdir(tmp_path)
    for name in ("quickstart", "model"):
        (tmp_path / name).mkdir()
    assert is_folder("model") and not is_folder("quickstart") and is_folder("./quickstart")


def test_killed_and_gone_on_with(model: Path, tmp_path: Path) -> None:
    """The answers of the portions that were done are taken as they are; the rest are those of an undisturbed run."""
    rows = [
        {"question": f"The wind is {n}", "choices": ["cold", "wide", "river"], "answer": n % 3} for n in range(1280)
    ]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "altiplano", "evaluate", str(model), str(tmp_path / "many.jsonl"), "--output"]
    answers = tmp_path / "killed" / "answers"
    process = subprocess.Popen([*command, str(tmp_path / "killed")], stdout=subprocess.DEVNULL)
    while len([*answers.rglob("*.parquet")]) < 2 and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {file: file.stat().st_mtime_ns for file in answers.rglob("*.parquet") if not file.name.startswith(".")}
    assert 2 <= len(done) < 10
    for folder in ("killed", "whole"):
        subprocess.run([*command, str(tmp_path / folder)], check=True, stdout=subprocess.DEVNULL)
    assert all(file.stat().st_mtime_ns == when for file, when in done.items())
    one, two = ((tmp_path / folder / "benchmarks.json").read_text() for folder in ("killed", "whole"))
    assert one == two


def test_another_model_does_not_go_on(model: Path, tmp_path: Path) -> None:
    served, tasks = load_language_model(model), read_tasks(SAMPLES / "python.toml")
    evaluate_tasks(served, tasks, tmp_path, fingerprint="one", limit=4)
    with pytest.raises(InputError, match="answers of another model"):
        evaluate_tasks(served, tasks, tmp_path, fingerprint="two", limit=4)


def test_written_answers_of_a_model(model: Path, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"q": "The wind", "a": "cold"}\n' * 3)
    text = 'name = "w"\ndata = "data.jsonl"\nstyle = "written"\nprompt = "{{q}}"\nanswer = "a"\nmax_tokens = 5\n'
    (tmp_path / "w.toml").write_text(text)
    found = evaluate_tasks(load_language_model(model), read_tasks(tmp_path / "w.toml"), tmp_path / "out")
    score = found.tasks["w"]
    assert score.metric == "exact_match" and score.chance == 0 and score.bits_per_byte is not None
    (answer,) = {one.written for one in read_answers((tmp_path / "out" / "answers" / "w").glob("*.parquet"))}
    assert answer
