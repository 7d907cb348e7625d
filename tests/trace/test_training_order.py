"""At which steps a text was read, against the batches that training takes, step by step."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small import sentences
from traced_run import Made, make_run, manifest

from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import trainings
from altiplano.tokens.shards import read_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.tokens.training_data import TrainingData
from altiplano.trace.index import Place
from altiplano.trace.training_order import Steps, TrainingOrder
from altiplano.training.skips import Skips

MIXED = ['mixture=[{weights={"web.en"=0.8, "code.code"=0.2}}, {from_tokens=640, weights={"web.en"=1.0}}]']
RAMP = ["batch.ramp=[{until=320, tokens=32}]"]


@pytest.fixture
def documents() -> list[Made]:
    generator = random.Random(3)
    return [Made(sentences(generator, 7), group) for group in ("web.en", "code.code") for _ in range(3)]


def recipe_of(run: Path) -> Recipe:
    return load_recipe(str(run / "recipe.toml"))


def training(
    run: Path,
    skips: Skips = Skips(),  # noqa: B008
    recipe: Recipe | None = None,
) -> dict[tuple[int, int], set[int]]:
    """(shard, token) → the steps, from 1, that predict it: what ``Trainer.samples`` reads at each step."""
    recipe = recipe or recipe_of(run)
    shards = read_shards(run / "tokenize", "train")
    bos = Tokenizer.load(run / "tokenize" / "tokenizer").bos
    data = TrainingData(shards, recipe.batch.sequence_length, bos, recipe.seed, recipe.mixture)
    read = defaultdict(set)
    for step in range(recipe.batch.steps):
        for start in data.starts(skips.kept(recipe.batch.samples(step))).tolist():
            for token in range(start + 1, start + recipe.batch.sequence_length + 1):
                shard = next(number for number, end in enumerate(data.ends) if token < end)
                read[shard, token - int(data.begins[shard])].add(step + 1)
    return read


def places(run: Path, tokens: int) -> list[Place]:
    """Every place of so many tokens of every document."""
    found = []
    for number, shard in enumerate(read_shards(run / "tokenize", "train")):
        for document in range(shard.documents):
            length = len(shard.document(document))
            found += [Place(number, document, at, at + tokens - 1) for at in range(length - tokens + 1)]
    return found


def under_way(run: Path, values: dict[str, Any], done: int, inputs: dict[str, str]) -> Path:
    folder = run / ".work" / "train-0123456789ab"
    folder.mkdir(parents=True)
    (folder / "wanted.json").write_text(json.dumps({"stage": "train", "recipe": values, "inputs": inputs}))
    lines = "".join(json.dumps({"step": step}) + "\n" for step in range(1, done + 1))
    (folder / "metrics.jsonl").write_text(lines + '{"step": 99, "cut sho')
    return folder


def settings_of(run: Path) -> dict[str, Any]:
    values = recipe_of(run).model_dump(mode="json")
    return {key: values[key] for key in ("seed", "mixture", "batch")}


def check(run: Path, done: int, skips: Skips = Skips()) -> list[Steps]:  # noqa: B008
    order, read = TrainingOrder(run), training(run, skips)
    assert (order.note, order.done) == ("", done)
    found = []
    shards = read_shards(run / "tokenize", "train")
    for tokens in (1, 4):
        for place in places(run, tokens):
            begin = shards[place.shard].begin(place.document)
            steps = set.union(*(read[place.shard, begin + at] for at in range(place.first, place.last + 1)))
            told = order.steps_of([place])
            assert sorted(told.trained + told.without_update) == sorted(step for step in steps if step <= done)
            assert told.planned == sorted(step for step in steps if step > done)
            assert set(told.without_update) == {step for step in steps if step <= done and step - 1 in skips.updates}
            found.append(told)
    return found


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param([], id="plain"),
        pytest.param([*MIXED, *RAMP], id="mixed ramp"),
        pytest.param(MIXED, id="mixed", marks=pytest.mark.slow),
        pytest.param(RAMP, id="ramp", marks=pytest.mark.slow),
    ],
)
def test_the_steps_are_those_that_read_it(
    tmp_path: Path, tokenizer: Tokenizer, documents: Sequence[Made], settings: list[str]
) -> None:
    run = make_run(tmp_path / "run", tokenizer, [documents], settings)
    steps = recipe_of(run).batch.steps
    manifest(run, "train", {"tokenize": "hash of tokenize"}, settings_of(run), steps)
    found = check(run, steps)
    assert any(one.trained for one in found)
    order = TrainingOrder(run)
    everywhere = places(run, 3)
    both = order.steps_of([everywhere[0], everywhere[-1]])
    assert both.trained == sorted({*order.steps_of(everywhere[:1]).trained, *order.steps_of(everywhere[-1:]).trained})


def test_a_run_that_has_trained_only_so_far(tmp_path: Path, tokenizer: Tokenizer, documents: Sequence[Made]) -> None:
    run = make_run(tmp_path / "run", tokenizer, [documents])
    under_way(run, settings_of(run), 7, {"tokenize": "hash of tokenize"})
    found = check(run, 7)
    assert any(one.trained for one in found) and any(one.planned for one in found)


def test_steps_of_phases_are_counted_on(tmp_path: Path, tokenizer: Tokenizer, documents: Sequence[Made]) -> None:
    phase = "phases=[{name='long', total_tokens=640, sequence_length=32, learning_rate=1e-3}]"
    run = make_run(tmp_path / "run", tokenizer, [documents], [phase])
    main, long = (one.recipe for one in trainings(recipe_of(run)))
    first, second = (training(run, recipe=one) for one in (main, long))
    order = TrainingOrder(run)
    assert (order.note, order.done, order.total) == ("", 0, main.batch.steps + long.batch.steps)
    for place in places(run, 1):
        at = place.shard, read_shards(run / "tokenize", "train")[place.shard].begin(place.document) + place.first
        planned = first[at] | {main.batch.steps + step for step in second[at]}
        assert order.steps_of([place]).planned == sorted(planned)


def test_before_training_all_is_planned(tmp_path: Path, tokenizer: Tokenizer, documents: Sequence[Made]) -> None:
    run = make_run(tmp_path / "run", tokenizer, [documents])
    assert not any(one.trained for one in check(run, 0))


def test_left_out_samples_and_updates(tmp_path: Path, tokenizer: Tokenizer, documents: Sequence[Made]) -> None:
    """After a spike training goes on behind the samples that made it; other steps' updates are left out."""
    run = make_run(tmp_path / "run", tokenizer, [documents])
    skips = Skips({4, 9}, [(8, 16), (24, 26)])
    skips.write(under_way(run, settings_of(run), 12, {"tokenize": "hash of tokenize"}))
    found = check(run, 12, skips)
    assert any(one.left_out for one in found) and any(one.without_update for one in found)
    left_out = sum(TrainingOrder(run).parts[0]._step_of(sample) is None for sample in range(30))
    assert left_out == 10


@pytest.mark.parametrize(
    ("spoil", "note"),
    [
        (lambda run: (run / "recipe.toml").unlink(), "recipe.toml"),
        (lambda run: manifest(run, "train", {"tokenize": "other"}), "training read other token shards"),
        (
            lambda run: (
                under_way(run, settings_of(run), 3, {"tokenize": "hash of tokenize"}) / "changes.jsonl"
            ).write_text('{"time": 1, "changes": {"mixture": [[], [1]]}}\n'),
            "the mixture was changed while training was under way",
        ),
    ],
)
def test_an_unknown_order_is_said(
    tmp_path: Path, tokenizer: Tokenizer, documents: Sequence[Made], spoil: Any, note: str
) -> None:
    run = make_run(tmp_path / "run", tokenizer, [documents])
    spoil(run)
    order = TrainingOrder(run)
    assert note in order.note and "\n" not in order.note


def test_training_of_other_shards_under_way_is_not_this_runs(
    tmp_path: Path, tokenizer: Tokenizer, documents: Sequence[Made]
) -> None:
    run = make_run(tmp_path / "run", tokenizer, [documents])
    under_way(run, settings_of(run), 7, {"tokenize": "of other shards"})
    check(run, 0)
