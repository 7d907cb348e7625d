"""Phases of a recipe: the trainings that they are, the order of their data, and what they cannot be."""

import tomllib
from pathlib import Path

import pytest
from small import SMALL

from altiplano.cli.arguments import read_inputs
from altiplano.cli.main import parser
from altiplano.errors import InputError
from altiplano.library import train
from altiplano.planning.best_layout import best_layout
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import check_layouts, layout_of, training_of, trainings
from altiplano.stages.run import STAGES, recipe_toml, stages_of
from altiplano.training.optimizer import learning_rate

LONG = 'name="long", total_tokens=4000, sequence_length=128, rope_scaling={original_max_position_embeddings=64}'
ANNEAL = 'name="anneal", total_tokens=3072, schedule="linear", mixture=[{weights={code=1}}]'


def recipe_of(*phases: str, more: tuple[str, ...] = ()) -> Recipe:
    text = ", ".join(f"{{{phase}}}" for phase in phases)
    return load_recipe("quickstart", [*SMALL, "optimizer.min_learning_rate=1e-4", f"phases=[{text}]", *more])


RECIPE = recipe_of(f"{LONG}, min_learning_rate=1e-4", ANNEAL, more=("average.checkpoints=2", "average.every_steps=1"))


def test_a_phase_is_a_training_whose_data_goes_on() -> None:
    main, long, anneal = (one.recipe for one in trainings(RECIPE))
    assert [one.batch.from_tokens for one in (main, long, anneal)] == [0, 10240, 10240 + 4 * 1024]
    assert [one.batch.samples(0).start for one in (main, long, anneal)] == [0, 10240 // 128, 14336 // 128]
    assert (long.batch.steps, long.batch.tokens_after(4)) == (4, 14336)
    assert main.model.rope_scaling is None and anneal.model.rope_scaling == long.model.rope_scaling is not None
    assert [one.averaged for one in (main, long, anneal)] == [(10,), (4,), (2, 3)]
    assert main == RECIPE.model_copy(update={"phases": (), "average": main.average})
    # recipe.toml of a run gives the same trainings
    assert trainings(Recipe.model_validate(tomllib.loads(recipe_toml(RECIPE)))) == trainings(RECIPE)


def test_the_mixture_goes_on_where_a_phase_begins() -> None:
    mixed = trainings(recipe_of(f"{LONG}, min_learning_rate=1e-4", ANNEAL, more=("mixture=[{weights={web=1}}]",)))
    assert [[one.from_tokens for one in training.recipe.mixture] for training in mixed] == [[0], [0], [0, 14336]]
    assert [one.from_tokens for one in trainings(RECIPE)[-1].recipe.mixture] == [0]  # nothing was mixed before


def test_rates_go_down_to_the_minimum_by_a_line() -> None:
    long, anneal = (one.recipe for one in trainings(RECIPE)[1:])
    rates = [learning_rate(step, 3, anneal.optimizer) for step in range(3)]
    assert rates == [1e-4, 5e-5, 0.0]  # from where the phase before it ended to exactly the minimum
    assert {learning_rate(step, 4, long.optimizer) for step in range(4)} == {1e-4}


def test_stages_of_phases_and_what_is_made_of_the_last() -> None:
    stages = {stage.name: (stage, recipe) for stage, recipe in stages_of(RECIPE)}
    assert [*stages][2:6] == ["train", "train-long", "train-anneal", "evaluate"]
    assert stages["train-anneal"][0].inputs == ("tokenize", "train-long")
    assert stages["evaluate"][0].inputs == ("curate", "tokenize", "train-anneal")
    assert stages["evaluate"][1].batch.sequence_length == 128
    assert stages["release"][0].inputs[2:5] == ("train", "train-long", "train-anneal")
    plain = load_recipe("quickstart", SMALL)
    assert [stage for stage, _ in stages_of(plain)] == [*STAGES]
    assert all(recipe is plain for _, recipe in stages_of(plain))


@pytest.mark.parametrize(
    ("phases", "more", "message"),
    [
        ([LONG, LONG], (), "two are called long"),
        (['name="main", total_tokens=4000'], (), "main is what the training before the phases is called"),
        (['name="a", total_tokens=4000, sequence_length=100'], (), "phases: a: tokens = 1,024 is not a whole number"),
        ([LONG, ANNEAL], (), "phases: anneal: learning_rate is missing, as the training before it ends with 0"),
        (['name="a", total_tokens=4000, warmup_steps=4'], (), "phases: a: warmup_steps = 4 is not shorter"),
        (['name="a", total_tokens=4000, min_learning_rate=1'], (), "phases: a: min_learning_rate = 1.0 is above"),
        (['name="a", total_tokens=4000, mixture=[{from_tokens=9, weights={web=1}}]'], (), "it must be 0"),
        ([LONG], ("average.checkpoints=5", "average.every_steps=1"), "last training's 4 steps; 4 checkpoints would do"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(phases: list[str], more: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError) as raised:
        recipe_of(*phases, more=more)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_a_phase_may_have_a_layout_of_its_own() -> None:
    cluster = Cluster(name="c", device="cpu", watts_per_device=1, layouts={"quickstart": {"long": "cp2"}})
    long = training_of(RECIPE, "long")
    assert layout_of(long, cluster, Layout(dp=2)) == Layout(cp=2)
    assert layout_of(training_of(RECIPE, None), cluster, Layout(dp=2)) == Layout(dp=2)
    with pytest.raises(InputError, match="--phase other: the trainings of quickstart are main, long, anneal"):
        training_of(RECIPE, "other")
    with pytest.raises(InputError, match=r"phase long: layout .*: cp = 3 .* batch.sequence_length = 128"):
        check_layouts(
            parse_layout("dp1"), RECIPE, cluster.model_copy(update={"layouts": {"quickstart": {"long": "cp3"}}})
        )
    missing = r'has a layout for lonk in \[layouts."quickstart"\] and none for long; the phases are long, anneal: '
    with pytest.raises(InputError, match=missing):
        check_layouts(
            parse_layout("dp1"), RECIPE, cluster.model_copy(update={"layouts": {"quickstart": {"lonk": "cp2"}}})
        )
    # A cluster file may have more: with --set a recipe may have fewer.
    more = {"layouts": {"quickstart": {"long": "cp2", "anneal": "cp2", "longer": "cp4"}}}
    check_layouts(parse_layout("dp1"), RECIPE, cluster.model_copy(update=more))
    with pytest.raises(ValueError, match=r"long is of which recipe.*table .layouts."):
        Cluster.model_validate(cluster.model_dump() | {"layouts": {"long": "cp2"}})


ONE_PHASE = "phases=[{name='anneal', total_tokens='1B', batch_tokens='16Mi', learning_rate=1e-6}]"


@pytest.mark.parametrize(
    ("arguments", "layouts", "said"),
    [  # phases of the name of another recipe's, and phases that have none of their own
        (["llama-3.1-8b", "--set", ONE_PHASE, "--cluster", "h100-8", "--layout", "dp8"], {"dp8.tp1.pp1"}, ""),
        (["llama-3.1-8b-128k", "--cluster", "h100-64"], {"dp4.tp4.pp4.mb1.recompute-selective"}, "those of"),
        (["llama-3.1-70b-128k", "--cluster", "h100-512", "--layout", "dp16.tp8.cp4"], {"dp16.tp8.pp1.cp4"}, ""),
        (
            ["llama-3.1-8b-128k", "--cluster", "h100-8", "--layout", "dp8"],
            {"dp8.tp1.pp1", *load_cluster("h100-8").layouts["llama-3.1-8b-128k"].values()},
            "layout dp8.tp1.pp1 is not for context-16k, context-32k, ",
        ),
    ],
)
def test_layouts_of_phases_are_of_one_recipe(
    arguments: list[str], layouts: set[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, cluster, layout = read_inputs(parser().parse_args(["rehearse", *arguments]))
    assert {layout_of(one, cluster, layout) for one in trainings(recipe)} == set(map(parse_layout, layouts))
    note = capsys.readouterr().err
    assert note.startswith("note: ") == bool(said) and said in note and note.count("\n") == bool(said)


def test_auto_plans_every_phase_whatever_the_cluster_file_says() -> None:
    phase = "{name='context-96k', total_tokens='133B', sequence_length='96Ki', batch_tokens='12Mi', learning_rate=1e-6}"
    given = ["llama-3.1-8b-128k", "--set", f"phases=[{phase}]", "--cluster", "h100-8"]
    own, auto = (read_inputs(parser().parse_args(["rehearse", *given, *more])) for more in ([], ["--layout", "auto"]))
    assert own[1].layouts == load_cluster("h100-8").layouts
    best = str(best_layout(trainings(auto[0])[1].recipe, own[1]))
    assert auto[1].layouts == {"llama-3.1-8b-128k": {"context-96k": best}}
    assert best != own[1].layouts["llama-3.1-8b-128k"]["context-96k"]


def test_a_python_program_trains_by_the_layouts_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr("altiplano.library.run_until", lambda last, *which, **_: given.append(which[:3]) or [])
    recipe = load_recipe("llama-3.1-8b-128k")
    for layout in ("auto", "dp8"):
        train(recipe, tmp_path, cluster="h100-8", layout=layout)
        of_command = parser().parse_args(["rehearse", recipe.name, "--cluster", "h100-8", "--layout", layout])
        assert given.pop() == read_inputs(of_command)
