"""Every script in examples/ runs, on small data, as it is printed there; none is longer than 40 lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
RECIPE = """
name = "tiny"
[model]
num_hidden_layers = 2
hidden_size = 64
num_attention_heads = 4
num_key_value_heads = 2
intermediate_size = 96
vocab_size = 768
[corpus]
root = "text"
quality = {min_characters = 50}
[[corpus.sources]]
name = "mine"
domain = "web"
format = "text"
path = "*.txt"
[tokenizer]
[batch]
sequence_length = 64
tokens = 1024
total_tokens = 20480
[optimizer]
learning_rate = 3e-3
warmup_steps = 2
[evaluation]
interval_steps = 5
"""


def example(name: str, *arguments: str, folder: Path) -> str:
    environment = {**os.environ, "COLUMNS": "120"}
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of this repository's own documentation as text files, and a recipe for it."""
    made = tmp_path_factory.mktemp("examples")
    (made / "text").mkdir()
    parts = [
        part for page in sorted(ROOT.glob("docs/**/*.md")) for part in page.read_text(encoding="utf-8").split("\n## ")
    ]
    for number, part in enumerate(parts[::5]):
        (made / "text" / f"{number:03}.txt").write_text(part, encoding="utf-8")
    (made / "tiny.toml").write_text(RECIPE)
    return made


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_to_run_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 40
    assert any(line.startswith(f"python examples/{path.name}") for line in lines[:6])


def test_all_of_them_are_run_here() -> None:
    here = Path(__file__).read_text()
    assert len(EXAMPLES) >= 6
    assert not [path.name for path in EXAMPLES if f'example("{path.name}"' not in here]


@pytest.mark.slow
def test_train_on_my_text(folder: Path) -> None:
    said = example("train_on_my_text.py", "text", folder=folder)
    assert "bits_per_byte" in said
    assert len(said.partition("dtype: float64\n")[2]) > 20, "the model wrote nothing"


@pytest.mark.slow
def test_callback_then_compare_then_score(folder: Path) -> None:
    """One run with the callback; it is compared with itself, and its model scored."""
    said = example("custom_callback.py", "tiny.toml", folder=folder)
    assert "step 20: loss" in said and "Name: loss" in said
    run = "runs/tiny-early"
    compared = example("compare_two_runs.py", run, run, folder=folder)
    assert "bits per byte" in compared and f"{run} is better after" in compared
    scored = example("score_a_model.py", run, "text/000.txt", "text/001.txt", folder=folder)
    assert "000.txt" in scored and "total" in scored and "temperature" in scored


def test_plan_a_cluster(folder: Path) -> None:
    said = example("plan_a_cluster.py", folder=folder)
    assert "dp8" in said and "GPU-hours" in said


def test_custom_filter(folder: Path) -> None:
    said = example("custom_filter.py", "tiny.toml", folder=folder)
    assert "documents kept" in said
