"""The stage runner: skip, recompute exactly what a change affects, resume, publish whole."""

import json
from pathlib import Path

import pytest

from altiplano.errors import InputError
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.stages.run import STAGES, locked, run_until
from altiplano.stages.stage import Context, Outcome, Result, Stage, read_manifest, recipe_values, run_stage


def context(workspace: Path, *overrides: str) -> Context:
    recipe: Recipe = load_recipe("quickstart", overrides)
    cluster: Cluster = load_cluster("laptop")
    workspace.mkdir(exist_ok=True)
    return Context(recipe, cluster, Layout(), workspace, workspace, {})


def first(ctx: Context) -> Result:
    (ctx.folder / "text.txt").write_text(f"seed {ctx.recipe.seed}")
    (ctx.folder / "when.txt").write_text(str(id(ctx)))
    return Result({"words": 2}, records=("when.txt",))


def second(ctx: Context) -> Result:
    text = (ctx.inputs["first"] / "text.txt").read_text()
    (ctx.folder / "upper.txt").write_text(text.upper())
    return Result({})


FIRST = Stage("first", reads=("seed",), inputs=(), run=first)
SECOND = Stage("second", reads=("optimizer.beta1",), inputs=("first",), run=second)


def both(ctx: Context) -> tuple[Outcome, Outcome]:
    return run_stage(FIRST, ctx), run_stage(SECOND, ctx)


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    one, two = both(context(tmp_path))
    assert not one.skipped
    again, again_two = both(context(tmp_path))
    assert again.skipped
    assert again_two.skipped
    assert again_two.manifest == two.manifest


@pytest.mark.parametrize(
    ("override", "recomputed"),
    [
        ("optimizer.beta2=0.5", (False, False)),
        ("optimizer.beta1=0.5", (False, True)),
        ("seed=5", (True, True)),
        ("corpus.root=elsewhere", (False, False)),
    ],
)
def test_a_change_recomputes_what_it_affects(tmp_path: Path, override: str, recomputed: tuple[bool, bool]) -> None:
    both(context(tmp_path))
    outcomes = both(context(tmp_path, override))
    assert tuple(not outcome.skipped for outcome in outcomes) == recomputed


def test_an_equal_result_upstream_keeps_what_is_downstream(tmp_path: Path) -> None:
    both(context(tmp_path))
    rerun = run_stage(FIRST, context(tmp_path), force=True)
    assert not rerun.skipped
    assert run_stage(SECOND, context(tmp_path)).skipped  # records differ, outputs do not


def test_manifests_say_where_every_byte_comes_from(tmp_path: Path) -> None:
    one, two = both(context(tmp_path))
    manifest = read_manifest(tmp_path / "second")
    assert manifest == two.manifest
    assert manifest.inputs == {"first": one.manifest.hash}
    assert manifest.recipe == {"optimizer.beta1": 0.9}
    assert set(one.manifest.outputs) == {"text.txt"}
    assert set(one.manifest.records) == {"when.txt"}
    assert one.manifest.measured.peak_memory_bytes > 10**6
    elsewhere = both(context(tmp_path / "elsewhere"))
    assert [outcome.manifest.hash for outcome in elsewhere] == [one.manifest.hash, two.manifest.hash]


def test_what_is_replaced_is_kept_aside(tmp_path: Path) -> None:
    one, _ = both(context(tmp_path))
    both(context(tmp_path, "seed=5"))
    kept = tmp_path / ".superseded" / f"first-{one.manifest.hash[:12]}"
    assert (kept / "text.txt").read_text() == "seed 1"


def test_nothing_is_published_by_a_stage_that_fails(tmp_path: Path) -> None:
    def fail(ctx: Context) -> Result:
        (ctx.folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        run_stage(Stage("third", (), (), fail), context(tmp_path))
    assert not (tmp_path / "third").exists()
    attempts: list[str] = []

    def resume(ctx: Context) -> Result:
        attempts.append((ctx.folder / "half").read_text())
        return Result({})

    run_stage(Stage("third", (), (), resume), context(tmp_path))
    assert attempts == ["half"]


def test_a_missing_input_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="second needs first, which has not been run"):
        run_stage(SECOND, context(tmp_path))


@pytest.mark.parametrize("damage", ["cut short", "one bit", "no checksum"])
def test_a_damaged_manifest_decides_nothing(damage: str, tmp_path: Path) -> None:
    both(context(tmp_path))
    manifest = tmp_path / "first" / "manifest.json"
    raw = bytearray(manifest.read_bytes())
    if damage == "one bit":
        raw[raw.index(b'"words": 2') + len(b'"words": ')] ^= 1
    elif damage == "no checksum":
        content = json.loads(raw)
        del content["checksum"]
        raw = bytearray(json.dumps(content).encode())
    manifest.write_bytes(b"{" if damage == "cut short" else raw)
    for stage in (FIRST, SECOND):  # as a result, and as what another is made from
        with pytest.raises(InputError, match=r"first: manifest.json .*; altiplano first RECIPE --force"):
            run_stage(stage, context(tmp_path))
    assert not run_stage(FIRST, context(tmp_path), force=True).skipped
    assert run_stage(SECOND, context(tmp_path)).skipped
    assert (tmp_path / ".superseded" / "first-unreadable" / "text.txt").exists()


def test_torchrun_only_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(InputError, match="first run altiplano first RECIPE without torchrun"):
        run_stage(FIRST, context(tmp_path))
    monkeypatch.delenv("RANK")
    run_stage(FIRST, context(tmp_path))
    monkeypatch.setenv("RANK", "1")
    assert run_stage(FIRST, context(tmp_path)).skipped


def test_two_commands_do_not_share_a_workspace(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InputError, match="another altiplano command"), locked(tmp_path):
        pass


def test_every_stage_reads_keys_that_exist_and_inputs_before_it() -> None:
    recipe = load_recipe("quickstart")
    done: set[str] = set()
    for stage in STAGES:
        assert json.dumps(recipe_values(recipe, stage.reads))
        assert set(stage.inputs) <= done
        done.add(stage.name)
    assert [stage.name for stage in STAGES] == [
        "curate",
        "tokenize",
        "train",
        "evaluate",
        "calibrate",
        "redteam",
        "release",
    ]


def test_again_begins_a_stage_anew_that_cannot_be_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``run --force`` with another seed, while training is unfinished: it is no use to advise --force once more."""
    begun: list[int] = []

    def train(ctx: Context) -> Result:
        begun.append(ctx.recipe.seed)
        return Result({}, finished=ctx.recipe.seed == 5)

    stages = (
        Stage("train", ("seed",), (), train, protect_partial_work=True),
        Stage("release", (), ("train",), lambda ctx: Result({})),
    )
    monkeypatch.setattr("altiplano.stages.run.STAGES", stages)
    cluster = load_cluster("laptop")

    def go(seed: int, again: bool) -> list[Outcome]:
        recipe = load_recipe("quickstart", [f"seed={seed}"])
        return run_until("release", recipe, cluster, Layout(), tmp_path, force=again)

    assert [one.stage for one in go(1, False)] == ["train"]
    with pytest.raises(InputError, match="begin anew with --force"):
        go(5, False)
    assert [one.stage for one in go(5, True)] == ["train", "release"]
    assert begun == [1, 5]
    assert list(tmp_path.glob(".work/train-*"))  # the other work is left alone
    assert [one.skipped for one in go(5, True)] == [True, False]  # up to date stages are not computed again
