"""Challenges to a run: an honest one passes, and one that was changed and given new manifests does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from real_release import ROOT, Released
from safetensors.torch import load_file, save_file

from altiplano.cli.main import run as altiplano
from altiplano.recipe.load import load_cluster
from altiplano.records import CheckpointManifest, ShardList, StageManifest
from altiplano.stages.challenges import Auditor
from altiplano.stages.run import STAGES
from altiplano.storage import digest, json_digest, sampled_digest

NAMES = ("stage", "version", "recipe", "inputs", "outputs", "counts", "passed")


@pytest.fixture(scope="module")
def whole(first_release: Released, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole run; every test changes a copy."""
    return first_release.copy(tmp_path_factory.mktemp("audited"), whole=True).workspace


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def vouched_for(run: Path) -> Path:
    """New manifests for what the files are now: whoever can change a run can do that, too."""
    hashes: dict[str, str] = {}
    for stage in STAGES:
        folder = run / stage.name
        manifest = StageManifest.read(folder / "manifest.json")
        values = {name: getattr(manifest, name) for name in NAMES}
        values["inputs"] = {name: hashes.get(name, old) for name, old in manifest.inputs.items()}
        values["outputs"] = {name: digest(folder / name) for name in manifest.outputs}
        records = {name: digest(folder / name) for name in manifest.records}
        samples = {name: sampled_digest(folder / name) for name in manifest.samples}
        hashes[stage.name] = json_digest(values)
        manifest.model_copy(update=values | {"hash": hashes[stage.name], "records": records, "samples": samples}).write(
            folder / "manifest.json"
        )
    return run


def auditor(run: Path, seed: int = 0) -> Auditor:
    return Auditor(run, load_cluster("laptop"), ROOT / "samples", seed, steps=3)


def test_an_honest_run_passes_every_kind(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["audit", str(run), "--corpus", str(ROOT / "samples"), "--challenges", "1", "--seed", "5", "--json"]
    assert altiplano(command) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["failed"] == 0 and len(shown["challenges"]) == 3
    audited, drawn = auditor(run), shown["challenges"][-1]["kind"]
    for kind, challenge in audited.kinds.items():
        if kind != drawn:
            assert audited.judged(kind, challenge).problem == ""


def test_a_changed_file_is_found_in_any_case(run: Path) -> None:
    file = run / "evaluate" / "perplexity.json"
    file.write_bytes(file.read_bytes().replace(b"0", b"1", 1))
    found = auditor(run).judged("files", auditor(run).files)
    assert not found.passed and "evaluate/perplexity.json" in found.problem


def test_of_a_large_run_some_files_are_read_whole(run: Path) -> None:
    """Of all others the size and some blocks are looked at, and what was not read is said."""
    bounded = Auditor(run, load_cluster("laptop"), None, 0, steps=3, read_bytes=1)
    found = bounded.judged("files", bounded.files)
    assert found.passed and found.what.startswith("1 of ") and "of all others sizes and some blocks" in found.what
    file = run / "tokenize" / "shards.json"
    file.write_bytes(file.read_bytes() + b" ")
    assert "tokenize/shards.json" in bounded.judged("files", bounded.files).problem
    file.unlink()
    assert "shards.json is missing" in bounded.judged("files", bounded.files).problem


def other_loss(run: Path) -> None:
    file = run / "train" / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[7]["loss"] = np.nextafter(lines[7]["loss"], 0)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def other_weights(run: Path) -> None:
    file = run / "train" / "weights" / "model.safetensors"
    tensors = load_file(file)
    name = next(iter(tensors))
    tensors[name].view(-1)[0] += 1e-3
    save_file(tensors, file, metadata={"format": "pt"})


def other_checkpoint(run: Path) -> None:
    """As if the steps up to it had been others: the bytes of two files are swapped, and its manifest says so."""
    folder = run / "train" / "checkpoints" / "step-00000005"
    manifest = CheckpointManifest.read(folder / "manifest.json")
    data = next(folder.glob("*.distcp"))
    whole = bytearray(data.read_bytes())
    whole[-5000:-4996] = b"\x00\x00\x80\x3f"
    data.write_bytes(whole)
    files = manifest.files | {data.name: digest(data)}
    manifest.model_copy(update={"files": files}).write(folder / "manifest.json")


def other_tokens(run: Path) -> None:
    """Other tokens in every document."""
    listed = ShardList.read(run / "tokenize" / "shards.json")
    changed = []
    for shard in listed.shards:
        file = run / "tokenize" / (shard.path + ".bin")
        tokens = np.fromfile(file, listed.dtype)
        tokens = np.where((tokens >= 256) & (tokens < 500), tokens + 1, tokens)
        tokens.tofile(file)
        changed.append(shard.model_copy(update={"sha256": digest(file)}))
    listed.model_copy(update={"shards": changed}).write(run / "tokenize" / "shards.json")


def other_texts(run: Path) -> None:
    for file in (run / "curate" / "documents").glob("*.parquet"):
        table = parquet.read_table(file)
        texts = pa.array([f"{text}\nOne more line." for text in table["text"].to_pylist()], table["text"].type)
        parquet.write_table(table.set_column(table.column_names.index("text"), "text", texts), file)


def other_answers(run: Path) -> None:
    for file in (run / "evaluate" / "benchmarks" / "answers").rglob("*.parquet"):
        table = parquet.read_table(file)
        shifted = [[value + 0.5 for value in row] for row in table["logprobs"].to_pylist()]
        at = table.column_names.index("logprobs")
        parquet.write_table(table.set_column(at, "logprobs", pa.array(shifted, table["logprobs"].type)), file)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (other_loss, "last"),
        pytest.param(other_weights, "last", marks=pytest.mark.slow),
        pytest.param(other_checkpoint, "last", marks=pytest.mark.slow),
        pytest.param(other_tokens, "tokens", marks=pytest.mark.slow),
        (other_texts, "curation"),
        (other_answers, "scores"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_what_was_changed_and_vouched_for_is_found(run: Path, change: Callable[[Path], None], kind: str) -> None:
    change(run)
    audited = auditor(vouched_for(run))
    assert audited.judged("files", audited.files).passed
    challenge = audited.last_steps if kind == "last" else audited.kinds[kind]
    assert any(not audited.judged(kind, challenge).passed for _ in range(1 if kind == "last" else 4))


def test_bad_input_is_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert altiplano(["audit", str(tmp_path)]) == 2
    assert "no run with a finished training" in capsys.readouterr().err
    assert altiplano(["audit", str(run), "--corpus", str(tmp_path / "none")]) == 2
    assert altiplano(["audit", str(run), "--challenges", "-1"]) == 2
    assert altiplano(["audit", str(run), "--read", "much"]) == 2
