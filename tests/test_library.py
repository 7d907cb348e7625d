"""``import altiplano``: what a program does with it, on small data, against independent computations."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small import SMALL, write_tokenized
from trainings import run

import altiplano
from altiplano.model.weights import load_model as load_weights
from altiplano.tokens.tokenizer import Tokenizer

ROOT = Path(__file__).parents[1]
TRAINING = """
import os
import signal
import sys
import threading
from pathlib import Path

import torch
import torch.nn.functional as F

import altiplano
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.stages.stage import Context
from altiplano.stages import train as stage
from altiplano.training.callbacks import Custom
from small import SMALL


class Counter(altiplano.Callback):
    def __init__(self):
        self.hooks = []

    def on_train_begin(self, run):
        self.hooks.append("begin")

    def on_step_end(self, run, metrics):
        self.hooks.append(f"step {run.step}")
        run.should_stop |= run.step == 7

    def on_evaluate(self, run, scores):
        self.hooks.append(f"evaluate {run.step}")

    def on_save(self, run):
        self.hooks.append(f"save {run.step}")

    def on_train_end(self, run):
        self.hooks.append("end")


def cross_entropy(logits, targets):
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="none")
    return losses.view_as(targets)


def half_the_loss(logits, targets):
    return cross_entropy(logits, targets) / 2


def scores(folder):
    from altiplano.records import HeldoutScores

    return [one.total.bits_per_byte for one in HeldoutScores.read_lines(folder / "heldout.jsonl")]


class Failing(altiplano.Callback):
    def on_step_end(self, run, metrics):
        if run.step == 3:
            raise RuntimeError("on purpose")


class Interrupting(altiplano.Callback):
    def on_step_end(self, run, metrics):
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGINT)


def constant(step, steps, optimizer):
    return 1e-3


def go(folder, tokens, custom):
    folder.mkdir()
    recipe = altiplano.load_recipe("quickstart", SMALL)
    cluster = altiplano.load_cluster("laptop")
    context = Context(recipe, cluster, Layout(), folder, folder, {"tokenize": tokens}, custom=custom)
    stage.run(context)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [altiplano_metrics(line) for line in lines]


def altiplano_metrics(line):
    from altiplano.records import StepMetrics

    return StepMetrics.model_validate_json(line)


if __name__ == "__main__":
    place, tokens = Path(sys.argv[1]), Path(sys.argv[2])
    plain = go(place / "plain", tokens, Custom())
    own = go(place / "own", tokens, Custom(loss=cross_entropy))
    assert len(plain) == len(own) == 10
    for a, b in zip(plain, own):
        assert abs(a.loss - b.loss) < 1e-4, (a.loss, b.loss)
    half = go(place / "half", tokens, Custom(loss=half_the_loss))
    assert abs(half[0].loss - plain[0].loss / 2) < 1e-4
    # Held-out text is scored by cross-entropy all the same.
    assert abs(scores(place / "half")[0] - scores(place / "plain")[0]) < 1e-6
    rate = go(place / "rate", tokens, Custom(schedule=constant))
    assert {one.learning_rate for one in rate} == {1e-3}
    counter = Counter()
    stopped = go(place / "stopped", tokens, Custom(callbacks=[counter]))
    assert len(stopped) == 7
    assert counter.hooks == [
        "begin", "evaluate 0", *(f"step {n}" for n in range(1, 6)), "evaluate 5", "save 5",
        "step 6", "step 7", "save 7", "end",
    ], counter.hooks
    for callback, error in ((Failing(), RuntimeError), (Interrupting(), KeyboardInterrupt)):
        try:
            go(place / error.__name__, tokens, Custom(callbacks=[callback]))
        except error:
            pass
        else:
            raise AssertionError(error)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert not torch.distributed.is_initialized()
        assert [thread.name for thread in threading.enumerate()] == ["MainThread"], threading.enumerate()
    assert (place / "KeyboardInterrupt" / "checkpoints" / "step-00000003").exists()
    print("all held")
"""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens") / "tokenize"
    write_tokenized(folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tokens: Path) -> Path:
    """A run's train folder."""
    folder = tmp_path_factory.mktemp("trained")
    run(folder, tokens, "dp1", SMALL)
    return folder


def test_losses_schedules_and_callbacks_of_ones_own(tmp_path: Path, tokens: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(TRAINING)
    environment = {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, str(script), str(tmp_path), str(tokens)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "all held" in done.stdout, done.stderr[-3000:]


@pytest.fixture(scope="module")
def model(trained: Path, tokens: Path) -> altiplano.LanguageModel:
    from altiplano.inference.language_model import load_language_model

    return load_language_model(trained / "weights", tokenizer=tokens / "tokenizer")


def test_every_name_is_there_and_nothing_heavy_is_imported_before_it_is_used() -> None:
    for name in altiplano.__all__:
        assert getattr(altiplano, name) is not None
    assert set(altiplano.__all__) <= set(dir(altiplano))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        altiplano.nothing  # noqa: B018
    program = "import sys, altiplano; sys.exit(int(any(m in sys.modules for m in ('torch', 'numpy', 'pydantic'))))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_overrides_by_key_are_those_of_the_command_line() -> None:
    by_key = dict(one.split("=") for one in SMALL) | {"evaluation.benchmarks": []}
    assert altiplano.load_recipe("quickstart", by_key) == altiplano.load_recipe("quickstart", SMALL)
    with pytest.raises(altiplano.InputError, match=r"optimizer\.lr is not a known key"):
        altiplano.load_recipe("quickstart", {"optimizer.lr": 1})


def test_scores_are_those_of_a_plain_forward_pass(model: altiplano.LanguageModel, trained: Path, tokens: Path) -> None:
    texts = ["abde ghik lmno. " * 5, "prst uvz abde", "z"]
    tokenizer, weights = Tokenizer.load(tokens / "tokenizer"), load_weights(trained / "weights")
    nll = count = 0.0
    for text in texts:
        row = torch.tensor([[tokenizer.bos, *tokenizer.encode(text), tokenizer.eos]])
        with torch.inference_mode():
            logits = weights(row[:, :-1]).double()
        nll += float(F.cross_entropy(logits[0], row[0, 1:], reduction="sum"))
        count += row.shape[1] - 1
    found = altiplano.evaluate(model, {"a": texts[:1], "b": texts[1:]})
    assert found["total"].nll == pytest.approx(nll, rel=1e-5) and found["total"].tokens == count
    size = sum(len(text.encode()) for text in texts)
    assert found["total"].bits_per_byte == pytest.approx(nll / math.log(2) / size, rel=1e-5)
    with pytest.raises(altiplano.InputError, match="c has no text"):
        altiplano.evaluate(model, {"c": []})


def test_the_temperature_is_where_the_loss_is_least(model: altiplano.LanguageModel) -> None:
    texts = ["abde ghik lmno prst " * 3, "uvz abde ghik"]
    found = altiplano.fit_temperature(model, texts)

    def loss(temperature: float) -> float:
        total = 0.0
        for text in texts:
            row = torch.tensor([[model.tokenizer.bos, *model.tokenizer.encode(text), model.tokenizer.eos]])
            with torch.inference_mode():
                logits = model.model(row[:, :-1]).double() / temperature
            total += float(F.cross_entropy(logits[0], row[0, 1:], reduction="sum"))
        return total

    assert all(loss(found) <= loss(found * factor) for factor in np.linspace(0.9, 1.1, 11))


def test_greedy_text_is_the_likeliest_token_each_time(model: altiplano.LanguageModel) -> None:
    (said,) = altiplano.generate(model, "abde ", max_tokens=5, temperature=0.0)
    row = [model.tokenizer.bos, *model.tokenizer.encode("abde ")]
    for _ in range(5):
        with torch.inference_mode():
            row.append(int(model.model(torch.tensor([row]))[0, -1].argmax()))
    expected = row[-5:]
    if model.tokenizer.eos in expected:
        expected = expected[: expected.index(model.tokenizer.eos)]
    assert said == model.tokenizer.decode(expected)
    with pytest.raises(altiplano.InputError, match="more than the model's context"):
        altiplano.generate(model, "abde", max_tokens=10_000)


def test_long_texts_are_scored_in_windows_that_overlap_in_one_token(model: altiplano.LanguageModel) -> None:
    text = "abde ghik lmno " * 60
    row = [model.tokenizer.bos, *model.tokenizer.encode(text), model.tokenizer.eos]
    assert len(row) > 3 * model.context
    nll = 0.0
    for start in range(0, len(row) - 1, model.context - 1):
        window = torch.tensor([row[start : start + model.context]])
        with torch.inference_mode():
            logits = model.model(window[:, :-1]).double()
        nll += float(F.cross_entropy(logits[0], window[0, 1:], reduction="sum"))
    found = altiplano.evaluate(model, {"long": [text]})["total"]
    assert found.nll == pytest.approx(nll, rel=1e-5) and found.tokens == len(row) - 1


def test_a_run_without_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("")
    with pytest.raises(altiplano.InputError, match="altiplano checkpoint convert"):
        altiplano.load_model(tmp_path)


def test_a_plan_is_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    plan = altiplano.plan(altiplano.load_recipe("llama-3.1-8b"), "h100-8", devices=64)
    assert plan.devices == 64 and plan.fits and plan.seconds > 0
    with pytest.raises(altiplano.InputError):
        altiplano.plan(altiplano.load_recipe("llama-3.1-405b"), "h100-8")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(altiplano.InputError, match="is not the folder of a run"):
        altiplano.open_run(tmp_path)
