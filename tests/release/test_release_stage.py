"""The release stage as a whole: what it writes, and that it writes nothing when the gate failed."""

import json
from collections.abc import Callable
from pathlib import Path

from altiplano.inference.language_model import load_language_model
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_recipe
from altiplano.release.validate import check
from altiplano.stages.release import STAGE
from altiplano.stages.stage import Context


def context(workspace: Path, cluster: Cluster) -> Context:
    folder = workspace / ".work" / "release-test"
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {stage: workspace / stage for stage in STAGE.inputs}
    return Context(load_recipe(str(workspace / "recipe.toml")), cluster, Layout(), workspace, folder, inputs)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_release_is_sound_and_its_samples_are_repeatable(make_run: Callable[..., Path], cluster: Cluster) -> None:
    run = context(make_run(), cluster)
    result = STAGE.run(run)
    assert result.passed
    assert check(run.folder) == []
    samples = json.loads((run.folder / "samples.json").read_text())
    assert {sample["group"] for sample in samples} == {"web.en", "web.de", "academic.en", "reference.en", "code.code"}
    assert all(sample["temperature"] == 1.137 and sample["prompt"] for sample in samples)
    first = {path.relative_to(run.folder): path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    STAGE.run(run)  # again in the same folder, as after an interruption
    assert {
        path.relative_to(run.folder): path.read_bytes() for path in run.folder.rglob("*") if path.is_file()
    } == first
    assert {Path(name) for name in result.records if not name.endswith("/")} <= first.keys()
    assert load_language_model(run.folder).temperature == 1.137


def test_no_weights_leave_when_the_gate_failed(make_run: Callable[..., Path], cluster: Cluster) -> None:
    run = context(make_run(passed=False), cluster)
    result = STAGE.run(run)
    assert not result.passed
    assert result.counts["failed_gates"] == ["redteam gate personal data: 2 is above 0"]
    assert "personal data" in result.message
    assert list(run.folder.iterdir()) == []


def test_a_waiver_that_has_run_out_and_a_required_hazard_stop_the_release() -> None:
    from datetime import date

    from altiplano.records import GateLimit, Redteam
    from altiplano.records.redteam import Waiver
    from altiplano.release.gate import failed_gates

    def failed(**line: object) -> list[str]:
        gate = GateLimit.model_validate({"name": "hate", "value": 0.4, "limit": 0.2, "passed": True, **line})
        found = Redteam(passed=gate.passed, gate=[gate], tests=[])
        return failed_gates(found, date(2026, 11, 26))

    def waiver(until: str) -> Waiver:
        return Waiver(who="Ada", why="a demonstration", until=until)

    assert failed(verdict="waived", waiver=waiver("2999-12-31")) == []
    assert failed(verdict="waived", waiver=waiver("2020-01-01")) == [
        "redteam gate hate: its waiver ended on 2020-01-01"
    ]
    assert failed(verdict="not shown") == []
    assert "not shown, and the recipe requires it" in failed(verdict="not shown", passed=False)[0]
