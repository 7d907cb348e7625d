"""Forgetting documents: nothing of them is read, and the weights are those of a training that never saw them."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import trainings
from pyarrow import parquet
from small import sentences
from traced_run import RECIPE, Made, make_run, manifest

from altiplano.cli.main import run as altiplano
from altiplano.errors import InputError
from altiplano.recipe.batch import BatchConfig, MixturePhase
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.schema import CheckpointConfig
from altiplano.stages.forget import find_documents, prepare, price
from altiplano.stages.run import recipe_toml
from altiplano.stages.stage import recipe_values
from altiplano.stages.train import READS
from altiplano.storage import digest
from altiplano.tokens.loader import IGNORED, read_batch
from altiplano.tokens.shards import read_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.tokens.training_data import TrainingData
from altiplano.training.resilience import incidents
from altiplano.training.skips import Skips, address, leave_out_documents

STEPS = 24
SETTINGS = [
    "batch.tokens=1024",
    "batch.sequence_length=32",
    f"batch.total_tokens={1024 * STEPS}",
    "checkpoint.retain_steps=5",
]


@pytest.mark.parametrize("mixture", [(), (MixturePhase(weights={"web.en": 0.7, "code.code": 0.3}),)])
def test_no_step_reads_a_forgotten_document(tokenized: Path, mixture: tuple[MixturePhase, ...]) -> None:
    """In any epoch, and every other sample is read once, in the same order."""
    data = TrainingData(read_shards(tokenized, "train"), 64, Tokenizer.load(tokenized / "tokenizer").bos, 3, mixture)
    batch = BatchConfig(tokens=512, sequence_length=64, total_tokens=512 * 40)
    generator = random.Random(1)
    documents = [(shard, generator.randrange(len(data.shards[shard]))) for shard in (0, 1, 1)]
    skips = Skips(samples=[(8, 16)])  # of an earlier spike
    leave_out_documents(skips, data, [address(data.shards[shard], number) for shard, number in documents], batch)
    taken = np.concatenate([skips.kept(batch.samples(step)) for step in range(batch.steps)])
    assert len(taken) == 320 and (np.diff(taken) > 0).all()
    left_out = sorted(set(range(int(taken[-1]))) - set(taken.tolist()))
    tokens = {
        (int(data.begins[shard]) + data.shards[shard].begin(number) + at)
        for shard, number in documents
        for at in range(1, int(data.shards[shard].lengths[number]))
    }
    for samples, holds in ((taken, False), (np.array(left_out), True)):
        starts = data.starts(samples)
        targets = read_batch(data, samples).targets.numpy()
        for start, row, sample in zip(starts.tolist(), targets, samples.tolist(), strict=True):
            predicted = {start + 1 + at for at in np.flatnonzero(row != IGNORED).tolist()}
            assert bool(predicted & tokens) == (holds and not 8 <= sample < 16) or 8 <= sample < 16


def test_an_address_is_of_one_text(tokenized: Path) -> None:
    data = TrainingData(read_shards(tokenized, "train"), 64, Tokenizer.load(tokenized / "tokenizer").bos, 3)
    batch = BatchConfig(tokens=512, sequence_length=64, total_tokens=512 * 4)
    name = address(data.shards[0], 3)
    for wrong, problem in (
        (name.replace(":3:", ":4:"), "another document"),
        ("web.en:9999:x", "in no"),
        ("x", "in no"),
    ):
        with pytest.raises(InputError, match=problem):
            leave_out_documents(Skips(), data, [wrong], batch)


def test_retained_checkpoints_are_permanent_ones() -> None:
    with pytest.raises(ValueError, match="retain_steps = 7 is not a multiple of interval_steps = 5"):
        CheckpointConfig(interval_steps=5, retain_steps=7)
    assert [step for step in range(21) if CheckpointConfig(interval_steps=5, retain_steps=10).retains(step)] == [
        0,
        10,
        20,
    ]


@pytest.fixture(scope="module")
def trained(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 steps, about two epochs of 240 documents, with a checkpoint every five steps that stays."""
    generator = random.Random(4)
    made = [Made(sentences(generator, 30), group) for group in ("web.en", "code.code") for _ in range(120)]
    others = [Made(sentences(generator, 30), split="heldout"), Made(sentences(generator, 30), split="")]
    run = tmp_path_factory.mktemp("forget") / "run"
    make_run(run, Tokenizer.load(tokenized / "tokenizer"), [made[::2], [*made[1::2], *others]], SETTINGS)
    train(run / "train", run, SETTINGS)
    publish(run, SETTINGS)
    return run


def train(folder: Path, run: Path, settings: list[str]) -> str:
    """The hash of the weights."""
    trainings.run(folder, run / "tokenize", "dp1", [*RECIPE, *settings])
    return digest(folder / "weights" / "model.safetensors")


def publish(run: Path, settings: list[str]) -> None:
    """The manifest that the train stage would write."""
    recipe = load_recipe("quickstart", [*RECIPE, *settings])
    manifest(run, "train", {"tokenize": "hash of tokenize"}, recipe_values(recipe, READS), STEPS)


def late_document(run: Path) -> str:
    """A training document that was first read after the first checkpoint."""
    for row in parquet.read_table(run / "curate" / "documents", columns=["id", "split"]).to_pylist():
        if row["split"] == "train":
            found = price(run, find_documents(run, [row["id"]]), load_cluster("laptop"))
            if found.trainings[0].checkpoint > 5 and found.steps > 0:
                return str(row["id"])
    raise AssertionError("every document is read in the first steps")


def test_the_weights_are_those_of_a_training_that_never_saw_it(trained: Path, tmp_path: Path) -> None:
    cluster = load_cluster("laptop")
    documents = find_documents(trained, [late_document(trained)])
    found = price(trained, documents, cluster)
    (main,) = found.trainings
    assert main.checkpoint % 5 == 0 and main.checkpoint < (main.first_step or 0) <= main.checkpoint + 5
    assert found.steps == STEPS - main.checkpoint and found.seconds > 0 and main.samples > 0
    recipe = prepare(trained, found, main, cluster)
    assert prepare(trained, found, main, cluster) == recipe  # again, after an interruption
    (folder,) = (trained / ".work").iterdir()
    forget = [f"forget={json.dumps(list(recipe.forget))}"]
    forgotten = train(folder, trained, [*SETTINGS, *forget])
    told = [one for one in incidents.read(folder) if one.kind == "forget"]
    assert len(told) == 1 and documents[0] in told[0].what
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [*range(1, STEPS + 1)]
    first_anew = json.loads((folder / "ledger.jsonl").read_text().splitlines()[-1])
    assert first_anew["step"] == STEPS
    fresh = train(tmp_path / "fresh", trained, [*SETTINGS, *forget])
    assert fresh == forgotten != digest(trained / "train" / "weights" / "model.safetensors")
    shutil.rmtree(trained / ".work")


def test_a_recipe_that_would_train_on_it_again_is_refused(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run, symlinks=True)
    (address,) = find_documents(run, [late_document(run)])
    publish(run, [*SETTINGS, f'forget=["{address}"]'])
    before = (run / "recipe.toml").read_text()
    assert altiplano(["train", str(trained / "recipe.toml"), "--workspace", str(run)]) == 2
    assert (run / "recipe.toml").read_text() == before


def test_the_price_is_named_first(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = late_document(trained)
    assert altiplano(["forget", str(trained), document]) == 0
    shown = capsys.readouterr().out
    assert "steps to take again" in shown and f"of {STEPS}" in shown and "--yes" in shown
    assert altiplano(["forget", str(trained), document, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trainings"][0]["of_steps"] == STEPS
    assert not (trained / ".work").exists()  # nothing was done


def test_documents_that_were_never_trained_on(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = parquet.read_table(trained / "curate" / "documents", columns=["id", "split"]).to_pylist()
    heldout = next(row["id"] for row in rows if row["split"] == "heldout")
    dropped = next(row["id"] for row in rows if not row["split"])
    for document, why in ((heldout, "held out"), (dropped, "dropped by curation"), ("nobody", "has no document")):
        assert altiplano(["forget", str(trained), document]) == 2
        assert why in capsys.readouterr().err
    assert altiplano(["forget", str(trained), ""]) == 2
    assert "several documents" in capsys.readouterr().err
    assert altiplano(["forget", str(trained.parent), "x"]) == 2
    assert "is no run" in capsys.readouterr().err


def test_settings_that_were_not_trained_with_are_refused(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run, symlinks=True)
    (run / "recipe.toml").write_text(recipe_toml(load_recipe("quickstart", [*RECIPE, *SETTINGS, "seed=99"])))
    with pytest.raises(InputError, match="was trained with another seed"):
        price(run, find_documents(run, [late_document(trained)]), load_cluster("laptop"))
