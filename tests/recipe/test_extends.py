"""A recipe that extends another: its own values, else the other's, and paths as where they were written."""

import os
import re
from pathlib import Path

import pytest

from altiplano.errors import InputError
from altiplano.planning.model_size import parameters
from altiplano.recipe.load import load_recipe
from altiplano.recipe.trainings import trainings


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write(
        tmp_path / "base/base.toml",
        """
name = "base"
[model]
num_hidden_layers = 2
hidden_size = 64
num_attention_heads = 4
num_key_value_heads = 2
intermediate_size = 128
vocab_size = 1024
[corpus]
root = "raw"
[[corpus.sources]]
name = "a"
domain = "web"
format = "warc"
path = "*.gz"
[[corpus.sources]]
name = "b"
domain = "code"
format = "code"
path = "*.gz"
[batch]
sequence_length = 64
tokens = 1024
total_tokens = 65536
[optimizer]
learning_rate = 1e-3
warmup_steps = 2
[evaluation]
benchmarks = ["tasks"]
""",
    )


def test_what_is_not_said_is_the_others(base: Path, tmp_path: Path) -> None:
    middle = write(
        tmp_path / "middle.toml",
        'extends = "base/base.toml"\nname = "m"\n[model]\nhidden_size = 128\n[batch]\ntokens = 2048',
    )
    own = write(
        tmp_path / "own.toml",
        'extends = "middle.toml"\nname = "own"\n[optimizer]\nlearning_rate = 2e-3\n'
        '[[corpus.sources]]\nname = "c"\ndomain = "web"\nformat = "warc"\npath = "c/*"\n',
    )
    recipe, first = load_recipe(own, ["batch.tokens=4096"]), load_recipe(base)
    assert (recipe.name, recipe.model.hidden_size, recipe.model.num_hidden_layers) == ("own", 128, 2)
    assert (recipe.optimizer.learning_rate, recipe.optimizer.warmup_steps, recipe.batch.tokens) == (2e-3, 2, 4096)
    assert [source.name for source in recipe.corpus.sources] == ["c"]  # lists are taken whole
    assert recipe.corpus.root == first.corpus.root == tmp_path / "base/raw"
    assert recipe.evaluation.benchmarks == first.evaluation.benchmarks == (tmp_path / "base/tasks",)
    assert load_recipe(middle).optimizer == first.optimizer


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "base/base.toml"', "own.toml: name is missing: with that of base/base.toml it would take"),
        ('name = "o"\nextends = "nobody.toml"', 'own.toml: extends = "nobody.toml": '),
        ('name = "o"\nextends = "base/bass.toml"', "bass.toml is no file; did you mean base/base.toml?"),
        ('name = "o"\nextends = "base"', "base is no file"),
        ('name = "o"\nextends = "/nowhere/base.toml"', "/nowhere/base.toml is no file"),
        ('name = "o"\nextends = ""', 'own.toml: extends = "": '),
        ('name = "o"\nextends = "own.toml"', "own.toml, which extends this file"),
        ("extends = 3", "extends = 3 is no file: name a recipe's, such as"),
        ('name = "o"\nextends = "base/base.toml"\n[model]\nwidth = 3', "model.width is now called hidden_size"),
    ],
)
def test_what_cannot_be_is_one_line(base: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        load_recipe(write(tmp_path / "own.toml", text))
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("size", ["8b", "70b", "405b"])
def test_every_size_of_llama_goes_on_to_128k(size: str) -> None:
    """Six stages from 8K to 128K, then the rate falls to 0: arXiv 2407.21783, sections 3.4.2 and 3.4.3."""
    base, recipe = load_recipe(f"llama-3.1-{size}"), load_recipe(f"llama-3.1-{size}-128k")
    main, *context, anneal = (one.recipe for one in trainings(recipe))
    assert (main.model, main.batch, main.optimizer, main.corpus) == (
        base.model,
        base.batch,
        base.optimizer,
        base.corpus,
    )
    assert [one.batch.sequence_length // 1024 for one in context] == [16, 32, 48, 64, 96, 128]
    assert sum(one.total_tokens for one in recipe.phases[:-1]) == pytest.approx(800e9, rel=0.01)
    for one in (*context, anneal):
        assert one.model.rope_scaling is not None and one.model.rope_scaling.factor == 8
        assert parameters(one.model) == parameters(base.model)
    for one in context:  # a constant rate: 1 % of the peak
        rate = base.optimizer.learning_rate / 100
        assert one.optimizer.learning_rate == one.optimizer.min_learning_rate == pytest.approx(rate)
    assert (anneal.optimizer.schedule, anneal.optimizer.min_learning_rate) == ("linear", 0)
    assert (anneal.batch.sequence_length, anneal.batch.steps, recipe.average.checkpoints) == (131072, 3, 3)


def test_a_base_of_an_absolute_path_that_is_almost_there(tmp_path: Path) -> None:
    (tmp_path / "base.toml").touch()
    (tmp_path / "own.toml").write_text(f'name = "o"\nextends = "{tmp_path}/bass.toml"')
    with pytest.raises(InputError, match=re.escape(f"did you mean {tmp_path}/base.toml?")):
        load_recipe(Path(os.path.relpath(tmp_path / "own.toml")))
