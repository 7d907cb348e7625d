"""Everything that meets in an operation is on the same device, and the host waits for it where it may: a rank's whole
run on a fake GPU, and what is asked of its model. ``altiplano/rehearsal/fake_gpu.py`` says what is not the real thing.
"""

from pathlib import Path

import pytest
from forked import Forked
from small import SMALL

from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.training.job import Job

EVERYTHING = [
    "model.num_hidden_layers=2",
    "batch.tokens=256",
    "batch.total_tokens=5120",
    "evaluation.max_tokens=300",
    "evaluation.interval_steps=3",
    "checkpoint.interval_steps=100",
    "recovery.check_weights_every=4",
    "recovery.check_speed_every=5",
]
LIFE = """
import json, os, sys
from contextlib import redirect_stdout
from pathlib import Path
import torch
from altiplano.rehearsal.life import live
from altiplano.training.job import Job
{mistake}
job = Job.model_validate_json(Path(sys.argv[1]).read_text())
with redirect_stdout(sys.stderr):
    lived = live(job, int(sys.argv[2]))
print(lived.steps, lived.rollbacks, lived.operations > 1000, json.dumps(lived.waits_of_a_step), flush=True)
os._exit(0)
"""
ONE = '{"training/trainer.py:_on_all_ranks": 1}'


def lived(folder: Path, tokens: Path, layout: str, rank: int, precision: str, mistake: str = "") -> tuple[int, str]:
    """First evaluation, steps, a rollback, evaluation, save; then the same again from what was saved; then scoring,
    generation and the fit of a temperature."""
    recipe = load_recipe("quickstart", [*SMALL, *EVERYTHING, f"precision.compute={precision}"])
    job = Job(recipe=recipe, layout=parse_layout(layout), device="cuda", tokens=tokens, folder=folder)
    (folder / "job.json").write_text(job.model_dump_json())
    arguments = [LIFE.format(mistake=mistake), str(folder / "job.json"), str(rank)]
    program = Forked("-c", arguments, folder / "output")
    said, _ = program.communicate(timeout=280)
    return program.wait(), said


@pytest.mark.parametrize(
    ("layout", "rank", "precision", "waits"),
    [
        ("dp1", 0, "bfloat16", ONE),
        pytest.param("dp2.tp2.pp2.recompute-selective", 1, "bfloat16", ONE, marks=pytest.mark.slow),
        pytest.param("dp1", 0, "float32", ONE, marks=pytest.mark.slow),
        pytest.param("tp2.hc2", 0, "bfloat16", ONE, marks=pytest.mark.slow),
        pytest.param("dp2.tp2.pp2", 7, "bfloat16", ONE, marks=pytest.mark.slow),
        pytest.param("cp2.tp2", 1, "bfloat16", ONE, marks=pytest.mark.slow),
        pytest.param("pp2.zbv", 1, "float32", ONE, marks=pytest.mark.slow),
    ],
)
def test_a_rank_lives_on_one_device(
    layout: str, rank: int, precision: str, waits: str, tokenized: Path, tmp_path: Path
) -> None:
    code, said = lived(tmp_path, tokenized, layout, rank, precision)
    assert code == 0, said
    assert said.splitlines()[-1] == f"6 1 True {waits}"


BATCH = "from altiplano.tokens.loader import Batch; Batch.to = lambda batch, device: batch"
PLACES = """
from altiplano.parallel import pipeline
pipeline.context_shard = lambda sequence, group, device: real(sequence, group, torch.device('cpu'))
from altiplano.parallel.context import context_shard as real
"""
CLIP = """
from altiplano.training import trainer
def clip(*arguments, real=trainer.clip_gradient):
    norm = real(*arguments)
    print(float(norm))
    return norm
clip.__code__ = clip.__code__.replace(co_filename=trainer.__file__)
trainer.clip_gradient = clip
"""
MOMENTS = """
from altiplano.training.checkpoints import loading
real = loading.training_tensors
def on_cpu(parameters, optimizer):
    tensors = real(parameters, optimizer)
    for state in optimizer.state.values():
        state['exp_avg'] = torch.zeros(state['exp_avg'].shape)
    return tensors
loading.training_tensors = on_cpu
"""
ANSWER = """
from altiplano.parallel.asking import AskedModel
AskedModel._ask = lambda asked, kind, *arguments: asked._answer(kind, arguments)
"""


@pytest.mark.parametrize(
    ("mistake", "found"),
    [
        pytest.param(BATCH, "indices on cpu:1 for a tensor on cpu", id="batch", marks=pytest.mark.slow),
        pytest.param(CLIP, "the host waits for the device in training/trainer.py:clip", id="wait"),
        pytest.param(PLACES, "parallel/pipeline.py:_held_tokens", id="places", marks=pytest.mark.slow),
        pytest.param(MOMENTS, "cpu:1", id="moments", marks=pytest.mark.slow),
        pytest.param(ANSWER, "cpu:1", id="answer", marks=pytest.mark.slow),
    ],
)
def test_a_planted_mistake_is_found(mistake: str, found: str, tokenized: Path, tmp_path: Path) -> None:
    code, said = lived(tmp_path, tokenized, "dp1", 0, "float32", mistake)
    assert code != 0
    assert found in said.splitlines()[-1], said
