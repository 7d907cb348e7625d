"""Batch ramp and mixture in training: they change at their token counts under every layout, and wherever it resumes."""

from pathlib import Path

import pytest
from small import SMALL
from trainings import records, relative, run, weights

from altiplano.recipe.load import load_recipe

CHANGING = [
    *SMALL,
    "precision.compute=float64",
    "batch.ramp=[{until=1536, tokens=512}]",
    "mixture=[{weights={web=0.7, code=0.3}}, {from_tokens=4000, weights={'code.code'=1}}]",
]


@pytest.fixture(scope="module")
def undisturbed(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("changing")
    run(folder, tokenized, "dp1", CHANGING)
    return folder


def test_ramp_and_mixture_do_change_the_run(undisturbed: Path) -> None:
    tokens = [record["tokens"] for record in records(undisturbed / "metrics.jsonl")]
    assert tokens == [512, 1024, 1536, *range(2560, 10753, 1024)]
    assert len(tokens) == load_recipe("quickstart", CHANGING).batch.steps


@pytest.mark.parametrize(
    "sessions",
    [
        pytest.param([("dp2", None)], marks=pytest.mark.slow),
        [("dp3", None)],  # 8 and 16 sequences over 3 ranks
        [("pp2", None)],
        # inside the ramp, at its end, across the mixture's change
        pytest.param([("dp1", 2), ("dp2", 5), ("tp2", 6), ("dp1", None)], marks=pytest.mark.slow),
    ],
)
def test_layouts_and_resumed_sessions_see_the_same_batches(
    sessions: list[tuple[str, int | None]], undisturbed: Path, tokenized: Path, tmp_path: Path
) -> None:
    for layout, stop in sessions:
        run(tmp_path, tokenized, layout, CHANGING, stop_after=stop)
    for ours, theirs in zip(records(tmp_path / "metrics.jsonl"), records(undisturbed / "metrics.jsonl"), strict=True):
        assert ours["tokens"] == theirs["tokens"]
        assert relative(ours["loss"], theirs["loss"]) < 1e-9, ours["step"]
        assert relative(ours["gradient_norm"], theirs["gradient_norm"]) < 1e-9, ours["step"]
    final = weights(undisturbed)
    for name, value in weights(tmp_path).items():
        assert (value - final[name]).norm() < 1e-6 * final[name].norm(), name
