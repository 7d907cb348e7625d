"""Phases: they begin with what the training before them ended with, resume exactly, and agree under every layout."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small import SMALL
from torch import Tensor
from trainings import records, relative, run, start, weights

from altiplano.errors import InputError
from altiplano.model.llama import Llama
from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.trainings import trainings
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints.checkpoint import of_step, to_average
from altiplano.training.checkpoints.loading import MOMENTS, load_sharded, load_weights
from altiplano.training.job import Job
from altiplano.training.loss import token_losses
from altiplano.training.trainer import prepare
from distributed.contract import in_ranks
from distributed.test_resume import same_weights, wait_for_step
from distributed.twenty_steps import whole

RECIPE = load_recipe(
    "quickstart",
    [
        *SMALL,
        "precision.compute=float64",
        "batch.total_tokens=3072",
        "phases=[{name='long', total_tokens=6144, sequence_length=128, learning_rate=1e-3, schedule='linear', "
        "rope_scaling={original_max_position_embeddings=64}, mixture=[{weights={web=1}}]}]",
        "average.checkpoints=3",
        "average.every_steps=2",
    ],
)
MAIN, LONG = (one.recipe for one in trainings(RECIPE))


@pytest.fixture(scope="module")
def main(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of the training before the phase."""
    folder = tmp_path_factory.mktemp("main")
    run(folder, tokenized, "dp1", MAIN)
    return of_step(folder / "checkpoints", 3)


@pytest.fixture(scope="module")
def undisturbed(main: Path, tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    run(folder, tokenized, "dp1", LONG, start=main)
    return folder


def trained(checkpoint: Path) -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Llama(RECIPE.model).named_parameters()}
    return load_weights(checkpoint, shapes, torch.float64)


def test_a_phase_begins_with_the_weights_and_moments_before_it(main: Path, tokenized: Path, tmp_path: Path) -> None:
    def work() -> None:
        job = Job(recipe=LONG, layout=Layout(), device="cpu", tokens=tokenized, folder=tmp_path, start=main)
        before = Job(recipe=MAIN, layout=Layout(), device="cpu", tokens=tokenized, folder=main.parents[1])
        bos = Tokenizer.load(tokenized / "tokenizer").bos
        phase, ended = (prepare(one, start_mesh(Layout(), "cpu"), bos) for one in (job, before))
        assert phase.tensors.keys() == ended.tensors.keys()
        assert all(torch.equal(value, ended.tensors[name]) for name, value in phase.tensors.items())
        assert all(value.abs().max() > 0 for name, value in phase.tensors.items() if name.startswith(MOMENTS))
        assert (phase.done, phase.updates, ended.updates) == (0, 3, 3)  # Adam's bias correction goes on
        assert phase.samples(0)[0] == 3072 // 128  # after what was read before

    in_ranks(1, work)


def test_a_killed_phase_ends_with_the_same_bits(main: Path, undisturbed: Path, tokenized: Path, tmp_path: Path) -> None:
    process = start(tmp_path, tokenized, "dp1", LONG, start=main)
    wait_for_step(tmp_path, 3)
    process.kill()
    process.wait()
    run(tmp_path, tokenized, "dp1", LONG, start=main)
    assert same_weights(tmp_path, undisturbed)
    ours, theirs = (records(folder / "metrics.jsonl") for folder in (tmp_path, undisturbed))
    assert [one["loss"] for one in ours] == [one["loss"] for one in theirs]
    assert ours[-1]["learning_rate"] == 0.0 and ours[-1]["tokens"] == 3072 + 6144


@pytest.mark.slow
def test_layouts_agree_over_the_change_of_phase(undisturbed: Path, tokenized: Path, tmp_path: Path) -> None:
    """The main training on two data-parallel ranks, then longer rows over two context-parallel ones."""
    run(tmp_path / "main", tokenized, "dp2", MAIN)
    run(tmp_path / "long", tokenized, "cp2", LONG, start=of_step(tmp_path / "main" / "checkpoints", 3))
    for ours, theirs in zip(
        records(tmp_path / "long" / "metrics.jsonl"), records(undisturbed / "metrics.jsonl"), strict=True
    ):
        assert relative(ours["loss"], theirs["loss"]) < 1e-9, ours["step"]
        assert relative(ours["gradient_norm"], theirs["gradient_norm"]) < 1e-9, ours["step"]
    final = weights(undisturbed)
    for name, value in weights(tmp_path / "long").items():
        assert (value - final[name]).norm() < 1e-6 * final[name].norm(), name


def test_written_weights_are_the_mean_of_the_last_checkpoints(undisturbed: Path) -> None:
    steps = [2, 4, 6]
    assert LONG.averaged == tuple(steps)
    parts = [trained(of_step(undisturbed / "checkpoints", step)) for step in steps]
    written = {name.removeprefix("model."): value for name, value in weights(undisturbed).items()}
    assert any(not torch.equal(parts[0][name], parts[2][name]) for name in written)
    for name, value in written.items():
        mean = np.mean([part[name].numpy() for part in parts], axis=0, dtype=np.float64)
        assert np.array_equal(value.numpy(), mean.astype(np.float32)), name

    def work() -> None:
        """Ranks that score read the same mean."""
        layout = parse_layout("dp2")
        mesh = start_mesh(layout, "cpu")
        model = parallelize(LONG, layout, mesh, token_losses(mesh.group("tp")), initial=False)
        parameters = parameters_by_name(model.parts)
        load_sharded([of_step(undisturbed / "checkpoints", step) for step in steps], parameters)
        for name, parameter in parameters.items():
            assert torch.equal(whole(parameter.detach()).float(), written[name]), name

    in_ranks(2, work)


def test_a_missing_checkpoint_of_the_average_is_one_line(undisturbed: Path) -> None:
    with pytest.raises(InputError, match=r"no checkpoint of step 1, one of 3 .* --set average.checkpoints=2"):
        to_average(undisturbed / "checkpoints", (1, 4, 6))
