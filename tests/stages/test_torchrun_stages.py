"""Where devices are: one rank resolves the stages, raw files need not be there, nor what tokens were made from."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from altiplano.errors import INTERRUPTED, InputError, RawFilesMissing, StageFailed
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_recipe
from altiplano.stages import curate, run, tokenize, torchrun, train
from altiplano.stages.stage import Context, Result, Stage, run_stage
from altiplano.stages.torchrun import Handover

RECIPE = load_recipe("quickstart", ["corpus.root=/nowhere"])
CLUSTER = Cluster(name="here", device="cpu", watts_per_device=1)


def write(context: Context) -> Result:
    (context.folder / "out.txt").write_text("made")
    return Result({})


def not_here(context: Context) -> str:
    raise RawFilesMissing("corpus.root: no folder /nowhere")


CURATE, TOKENIZE, TRAIN = (replace(module.STAGE, run=write) for module in (curate, tokenize, train))


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with documents and tokens, made where the raw files were."""
    context = Context(RECIPE, CLUSTER, Layout(), tmp_path, tmp_path, {})
    run_stage(replace(CURATE, sources=lambda context: "what was there"), context)
    run_stage(TOKENIZE, context)
    monkeypatch.setattr(run, "STAGES", (replace(CURATE, sources=not_here), TOKENIZE, TRAIN))
    return tmp_path


def done(workspace: Path, **changes: Any) -> list[tuple[str, bool]]:
    outcomes = run.run_until("train", changes.get("recipe", RECIPE), CLUSTER, Layout(), workspace)
    return [(outcome.stage, outcome.skipped) for outcome in outcomes]


def test_raw_files_need_not_be_there(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert done(prepared) == [("curate", True), ("tokenize", True), ("train", False)]
    assert "note: corpus.root: no folder /nowhere; what curate made of the files before" in capsys.readouterr().err
    with pytest.raises(InputError, match="no folder /nowhere"):
        done(prepared, recipe=RECIPE.model_copy(update={"seed": 7}))


def test_tokens_need_not_have_their_documents(prepared: Path) -> None:
    shutil.rmtree(prepared / "curate")
    assert done(prepared) == [("tokenize", True), ("train", False)]
    with pytest.raises(InputError, match="needs curate, which has not been run"):
        changed = RECIPE.tokenizer.model_copy(update={"sample_bytes": 1})
        done(prepared, recipe=RECIPE.model_copy(update={"tokenizer": changed}))


class Recorded:
    """A handover to nobody."""

    said: ClassVar[list[str]] = []

    def __init__(self, device: str, timeout: Any):
        Recorded.said = []

    def give(self, work: str, job: Any) -> None:
        Recorded.said.append(work)

    def end(self) -> None:
        Recorded.said.append("end")

    def follow(self, custom: Any) -> None:
        Recorded.said.append("follow")


def test_ranks_are_as_many_as_every_phase_needs(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Handover", Recorded)
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    phase = "phases=[{name='long', total_tokens='1M', learning_rate=1e-4}]"
    recipe = load_recipe("quickstart", ["corpus.root=/nowhere", phase])
    own = CLUSTER.model_copy(update={"layouts": {"quickstart": {"long": "cp4"}}})
    before = "long training by layout .*cp4 needs 4 processes, torchrun started 2; .* --phase for those before it"
    with pytest.raises(InputError, match=before):
        run.run_until("train-long", recipe, own, Layout(dp=2), prepared)
    run.run_until("train", recipe, own, Layout(dp=2), prepared)  # main is trained now
    monkeypatch.setenv("WORLD_SIZE", "4")
    run.run_until("train-long", recipe, own, Layout(dp=2), prepared)


def test_other_ranks_look_at_nothing(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Handover", Recorded)
    monkeypatch.setenv("RANK", "1")
    looked: list[Stage] = []
    monkeypatch.setattr(run, "run_stage", lambda stage, context, **how: looked.append(stage))
    assert done(prepared) == []
    assert not looked and Recorded.said == ["follow"]


def test_an_interrupted_rank_does_not_leave_as_if_all_were_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its node's agent would take part in no other start."""
    handover = Handover.__new__(Handover)
    heard: list[None] = []
    told = iter([["train", {}], None])
    meeting = SimpleNamespace(tell=lambda: next(told), gather=heard.append)
    monkeypatch.setattr(handover, "meeting", meeting, raising=False)
    monkeypatch.setattr(torchrun, "_compute", lambda *told: False)
    with pytest.raises(StageFailed) as raised:
        handover.follow(None)
    assert raised.value.code == INTERRUPTED
    assert heard == [None, None]  # the first rank waits for both: it keeps the store


def test_the_first_rank_lists_no_raw_files(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(context: Context) -> str:
        raise AssertionError("the raw files were listed")

    monkeypatch.setattr(run, "Handover", Recorded)
    monkeypatch.setattr(run, "STAGES", (replace(CURATE, sources=listed), TOKENIZE, TRAIN))
    monkeypatch.setenv("RANK", "0")
    assert done(prepared) == [("curate", True), ("tokenize", True), ("train", False)]
    assert done(prepared)[-1] == ("train", True)
    assert Recorded.said == ["end"]  # nothing to train: the others are told so
