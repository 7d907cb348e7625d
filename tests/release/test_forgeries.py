"""Forged releases are rejected with a line that names the file; honest ones are accepted.

Three kinds of forger: one without the key; one who signs the forgery with the right key; one who also writes every
hash and document anew. What the last one can do without being found is said in docs/design/release.md.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_release import Released

from altiplano.errors import InputError
from altiplano.records import EvidenceIndex, StageManifest
from altiplano.release.bundle import OWN_WORDS, write_documents
from altiplano.release.evidence import PATHS
from altiplano.release.lineage_check import hash_of
from altiplano.release.notices import add_notice
from altiplano.release.signing import listed, make_key, sign
from altiplano.release.verify import not_recomputed, verify
from altiplano.storage import digest, json_digest

Change = Callable[[Path], None]


def text(name: str, old: str, new: str) -> Change:
    """Replace a text that must be there, once."""

    def change(folder: Path) -> None:
        content = (folder / name).read_text()
        assert old in content, f"{name} has no {old!r}"
        (folder / name).write_text(content.replace(old, new, 1))

    return change


def values(name: str, edit: Callable[[Any], None]) -> Change:
    """Edit the plain values of a JSON file, whose own checksum is written anew."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        edit(content)
        if "checksum" in content:
            content.pop("checksum")
            content["checksum"] = json_digest(content)
        (folder / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")

    return change


def line(name: str, number: int, edit: Callable[[Any], None]) -> Change:
    """Edit one line of a JSON Lines file."""

    def change(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        content = json.loads(lines[number])
        edit(content)
        lines[number] = json.dumps(content)
        (folder / name).write_text("\n".join(lines) + "\n")

    return change


def put(*keys: Any) -> Callable[[Any], None]:
    """``put("a", 0, "b", 5)``: set value["a"][0]["b"] = 5."""

    def edit(value: Any) -> None:
        *path, last, new = keys
        for key in path:
            value = value[key]
        value[last] = new

    return edit


def flip(name: str, place: int = -5) -> Change:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(content)

    return change


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def extra(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n")

    return change


def one_more_step(folder: Path) -> None:
    lines = (folder / "evidence/train/metrics.jsonl").read_text().splitlines()
    more = json.loads(lines[-1]) | {"step": 11, "tokens": 45056}
    (folder / "evidence/train/metrics.jsonl").write_text("\n".join([*lines, json.dumps(more)]) + "\n")


def swap(folder: Path) -> None:
    """The weights of another model: the same shapes, other values."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = -weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def link(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "elsewhere")
    (folder / "model.safetensors").symlink_to(folder.parent / "elsewhere")


def other_rows(folder: Path) -> None:
    from altiplano.evaluation.document_scores import read_document_scores, write_document_scores

    path = folder / "evidence/evaluate/documents.parquet"
    rows = read_document_scores(path)
    write_document_scores(path, rows[1:])


def drop_lines(name: str, count: int) -> Change:
    def change(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join(lines[:-count]) + "\n")

    return change


ANSWERS = "evidence/evaluate/benchmarks/answers/endings/000000.jsonl"
METRICS, HELDOUT = "evidence/train/metrics.jsonl", "evidence/train/heldout.jsonl"
PERPLEXITY, REDTEAM = "evidence/evaluate/perplexity.json", "evidence/redteam/redteam.json"
RUN, AUDIT, SHARDS = "evidence/train/run.json", "evidence/curate/audit.json", "evidence/tokenize/shards.json"
CALIBRATION, RECIPE, INDEX = "evidence/calibrate/calibration.json", "evidence/recipe.toml", "evidence/index.json"

CHANGES: dict[str, tuple[Change, str]] = {
    "an edited loss": (line(METRICS, 4, put("loss", 1.0)), "metrics.jsonl"),
    "an edited final loss": (line(METRICS, -1, put("loss", 1.0)), "metrics.jsonl"),
    "another learning rate": (line(METRICS, 4, put("learning_rate", 0.5)), "metrics.jsonl"),
    "one more step": (one_more_step, "metrics.jsonl"),
    "one step less": (drop_lines(METRICS, 1), "metrics.jsonl"),
    "an edited held-out score": (line(HELDOUT, -1, put("total", "bits_per_byte", 0.9)), "heldout.jsonl"),
    "a run of more tokens": (values(RUN, put("tokens", 10**9)), "run.json"),
    "a run of less time": (values(RUN, put("seconds", 0.5)), "run.json"),
    "an edited score": (values(PERPLEXITY, put("total", "bits_per_byte", 0.5)), "perplexity.json"),
    "a document less": (other_rows, "documents.parquet"),
    "an edited benchmark": (
        values("evidence/evaluate/benchmarks/benchmarks.json", put("tasks", "endings", "score", "value", 0.99)),
        "benchmarks.json",
    ),
    "an edited answer": (line(ANSWERS, 0, lambda row: row.update(score=1 - row["score"])), "answers/endings"),
    "an answer less": (drop_lines(ANSWERS, 1), "answers/endings"),
    "an edited temperature in the evidence": (values(CALIBRATION, put("temperature", 1.0)), "calibration.json"),
    "a changed temperature": (values("generation_config.json", put("temperature", 0.7)), "generation_config.json"),
    "a changed calibration": (values("calibration.json", put("temperature", 0.7)), "calibration.json"),
    "hits left out": (values(REDTEAM, put("tests", 3, "model", "rate", 0.4)), "redteam.json"),
    "an edited gate": (values(REDTEAM, put("gate", 0, "limit", 0.9)), "redteam.json"),
    "an attack less": (values(REDTEAM, lambda value: value["tests"].pop()), "redteam.json"),
    "more documents in the audit": (values(AUDIT, put("kept", 0, "documents", 9999)), "audit.json"),
    "another digest of a shard": (values(SHARDS, put("shards", 0, "sha256", "0" * 64)), "shards.json"),
    "fewer documents of a source": (text("evidence/data/sources.csv", "train,1,", "train,7,"), "sources.csv"),
    "another web site": (text("evidence/data/domains.csv", "magazine.example", "other.example"), "domains.csv"),
    "another seed": (text(RECIPE, "seed = 1", "seed = 2"), "recipe.toml"),
    "a longer run in the recipe": (text(RECIPE, "total_tokens = 40960", "total_tokens = 81920"), "recipe.toml"),
    "another licence in the recipe": (text(RECIPE, "CC-BY-4.0", "CC0-1.0"), "recipe.toml"),
    "another country": (text("evidence/cluster.json", "FRA", "USA"), "cluster.json"),
    "other libraries": (values("evidence/environment.json", put("torch", "1.0")), "environment.json"),
    "another recipe in a manifest": (
        values("evidence/train/manifest.json", put("recipe", "seed", 3)),
        "train/manifest.json",
    ),
    "another input in a manifest": (
        values("evidence/evaluate/manifest.json", put("inputs", "train", "0" * 64)),
        "evaluate/manifest.json",
    ),
    "trained weights of another hash": (
        values("evidence/train/manifest.json", put("outputs", "weights/model.safetensors", "0" * 64)),
        "train/manifest.json",
    ),
    "an edited figure of the card": (text("README.md", "| **all** |", "| **All** |"), "README.md"),
    "an edited score in the card's metadata": (text("README.md", "      value: ", "      value: 0."), "README.md"),
    "an edited licence of the card": (text("README.md", "apache-2.0", "mit"), "README.md"),
    "an edited bill of materials": (values("bom.json", put("metadata", "component", "name", "other")), "bom.json"),
    "a library less in the bill": (values("bom.json", lambda value: value["components"].pop()), "bom.json"),
    "an edited metric of the bill": (
        values(
            "bom.json",
            put(
                *("metadata", "component", "modelCard", "quantitativeAnalysis", "performanceMetrics"),
                *(0, "value", "0.1"),
            ),
        ),
        "bom.json",
    ),
    "an edited data card": (values("croissant.json", put("license", ["CC0-1.0"])), "croissant.json"),
    "an edited description of data": (text("croissant.json", "documents", "books"), "croissant.json"),
    "an edited summary": (
        text("training-content-summary.md", "not stated", "Lawyers & Co."),
        "training-content-summary.md",
    ),
    "more parameters": (values("facts.json", put("parameters", 8_000_000_000)), "facts.json"),
    "less energy": (values("facts.json", put("energy_kwh", 0.0)), "facts.json"),
    "another version of torch": (values("facts.json", put("versions", "torch", "3.0")), "facts.json"),
    "a smaller effect of rounding": (values("export.json", put("released_loss", 1.0)), "export.json"),
    "weights said to be as trained": (values("export.json", put("dtype", "float32")), "export.json"),
    "swapped weights": (swap, "model.safetensors"),
    "a flipped bit of the weights": (flip("model.safetensors"), "model.safetensors"),
    "another shape": (values("config.json", put("num_attention_heads", 2)), "config.json"),
    "another begin token": (values("config.json", put("bos_token_id", 5)), "config.json"),
    "another rotary base": (values("config.json", put("rope_theta", 10_000.0)), "config.json"),
    "another tokenizer": (values("tokenizer.json", lambda value: value["model"]["merges"].pop()), "tokenizer.json"),
    "a chat template": (values("tokenizer_config.json", put("chat_template", "{{ x }}")), "tokenizer_config.json"),
    "an edited sample": (values("samples.json", put(0, "temperature", 0.1)), "samples.json"),
    "no weights": (remove("model.safetensors"), "model.safetensors"),
    "no metrics": (remove(METRICS), "metrics.jsonl"),
    "no red team": (remove(REDTEAM), "redteam.json"),
    "no bill of materials": (remove("bom.json"), "bom.json"),
    "no card": (remove("README.md"), "README.md"),
    "no index": (remove(INDEX), "index.json"),
    "no manifest of a stage": (remove("evidence/evaluate/manifest.json"), "evaluate/manifest.json"),
    "one file more": (extra("modeling_llama.py"), "modeling_llama.py"),
    "one file more in the evidence": (extra("evidence/train/more.json"), "more.json"),
    "weights that are a link": (link, "model.safetensors"),
}
"""By name: what is done to the folder, and what the line that rejects it must name."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_breaks_the_signature(released: Released, name: str) -> None:
    change, named = CHANGES[name]
    change(released.folder)
    problems = verify(released.folder, released.public)
    assert problems and any(named in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


def test_every_byte_counts(first_release: Released, tmp_path: Path) -> None:
    """In each file in turn one bit is flipped, and the holder of the key signs: never accepted, never a traceback."""
    chance = random.Random(0)
    names = [path.relative_to(first_release.folder).as_posix() for path in listed(first_release.folder)]
    assert len(names) > 40
    for number, name in enumerate(names):
        copy = first_release.copy(tmp_path / str(number))
        size = (copy.folder / name).stat().st_size - (len(OWN_WORDS) if name == "README.md" else 0)
        flip(name, chance.randrange(size))(copy.folder)
        (copy.folder / "model.sig").unlink()
        sign(copy.folder, copy.private)
        problems = verify(copy.folder, copy.public)
        assert problems and all("\n" not in problem for problem in problems), name


SIGNED = [name for name in CHANGES if name != "weights that are a link"]


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_does_not_make_a_forgery_true(released: Released, name: str) -> None:
    """The holder of the key signs what was changed: it contradicts the rest of the folder."""
    change, named = CHANGES[name]
    change(released.folder)
    (released.folder / "model.sig").unlink()  # an incremental signature would give swapped weights away
    sign(released.folder, released.private)
    problems = verify(released.folder, released.public)
    assert problems and any(named in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


@dataclass(frozen=True)
class Thorough:
    """A forgery whose hashes and documents are all written anew, and what gives it away."""

    change: Change
    found: str


THOROUGH = {
    "another learning rate": Thorough(CHANGES["another learning rate"][0], "learning rate 0.5"),
    "one more step": Thorough(one_more_step, "its steps are not 1 to 10"),
    "an edited held-out score": Thorough(CHANGES["an edited held-out score"][0], "bits per byte is not"),
    "more tokens": Thorough(CHANGES["a run of more tokens"][0], "1,000,000,000 tokens, the recipe gives 40,960"),
    "an edited score": Thorough(CHANGES["an edited score"][0], "bits per byte is not what its nll"),
    "a better loss of held-out text": Thorough(
        values(PERPLEXITY, lambda value: [group.update(nll=1.0) for group in value["groups"].values()]), "perplexity"
    ),
    "a document less": Thorough(other_rows, "not the sum of documents.parquet"),
    "an edited benchmark": Thorough(CHANGES["an edited benchmark"][0], "endings: its score is not what"),
    "an edited interval": Thorough(
        values("evidence/evaluate/benchmarks/benchmarks.json", put("tasks", "endings", "score", "low", 0.9)),
        "endings: its interval is not what",
    ),
    "an edited answer": Thorough(CHANGES["an edited answer"][0], "endings: its score is not what"),
    "an answer less": Thorough(CHANGES["an answer less"][0], "answers"),
    "hits left out": Thorough(CHANGES["hits left out"][0], "its rate or interval is not what"),
    "a gate that did not pass": Thorough(
        values(REDTEAM, lambda value: value["gate"][0].update(passed=False)), "is above"
    ),
    "a gate above its limit": Thorough(
        values(REDTEAM, lambda value: value["gate"][0].update(value=0.9)), "said to have passed"
    ),
    "more documents": Thorough(CHANGES["more documents in the audit"][0], "audit.json"),
    "fewer documents of a source": Thorough(CHANGES["fewer documents of a source"][0], "sources.csv: its sums"),
    "another seed": Thorough(CHANGES["another seed"][0], "seed is not what the stage was made by"),
    "a longer run": Thorough(CHANGES["a longer run in the recipe"][0], "batch is not what the stage was made by"),
    "a temperature outside of its interval": Thorough(
        values(CALIBRATION, put("temperature", 9.0)), "outside of its interval"
    ),
    "a better calibration": Thorough(values(CALIBRATION, put("after", "ece", 0.0)), "not what its bins give"),
    "swapped weights": Thorough(swap, "export.json says"),
    "weights that were not trained": Thorough(
        values("export.json", put("trained", "model.safetensors", "0" * 64)), "was not trained"
    ),
    "another shape": Thorough(CHANGES["another shape"][0], "config.json is not what"),
    "less energy": Thorough(CHANGES["less energy"][0], "facts.json: energy_kwh"),
    "a figure of the card": Thorough(CHANGES["an edited score in the card's metadata"][0], "README.md: line"),
    "a stage of another run": Thorough(
        values("evidence/evaluate/manifest.json", put("inputs", "train", "0" * 64)), "made from another train"
    ),
    "metrics left out with their entry": Thorough(remove(METRICS), "metrics.jsonl is missing"),
}


def reseal(released: Released) -> None:
    """Write every hash anew: of the index, the stages' manifests, the release's manifest, and the signature."""
    folder, evidence = released.folder, released.folder / "evidence"
    index = EvidenceIndex.read(evidence / "index.json")
    kept = [one for one in index.files if (evidence / one.path).exists()]
    for one in kept:
        stage, _, name = one.source.partition("/")
        if one.removed or not name or name == "manifest.json":
            continue
        path = evidence / stage / "manifest.json"
        manifest = StageManifest.read(path)
        lists = {
            key: {n: digest(evidence / one.path) if n == name else v for n, v in getattr(manifest, key).items()}
            for key in ("outputs", "records")
        }
        manifest.model_copy(update=lists).write(path)
    whole = {one.path for one in kept if PATHS not in one.removed}
    hashes: dict[str, str] = {}
    for stage in ("curate", "tokenize", "train", "evaluate", "calibrate", "redteam"):
        path = evidence / stage / "manifest.json"
        manifest = StageManifest.read(path)
        old = manifest.hash
        inputs = {name: hashes.get(value, value) for name, value in manifest.inputs.items()}
        manifest = manifest.model_copy(update={"inputs": inputs})
        if f"{stage}/manifest.json" in whole:
            manifest = manifest.model_copy(update={"hash": hash_of(manifest)})
        hashes[old] = manifest.hash
        manifest.write(path)
    files = [one.model_copy(update={"sha256": digest(evidence / one.path)}) for one in kept]
    index.model_copy(update={"files": files}).write(evidence / "index.json")
    path = folder / "manifest.json"
    manifest = StageManifest.read(path)
    update: dict[str, Any] = {
        "inputs": {name: hashes.get(value, value) for name, value in manifest.inputs.items()},
        **{
            key: {n: digest(folder / n) for n in getattr(manifest, key) if (folder / n).exists()}
            for key in ("outputs", "records")
        },
    }
    manifest = manifest.model_copy(update=update)
    manifest.model_copy(update={"hash": hash_of(manifest)}).write(path)
    (folder / "model.sig").unlink()
    sign(folder, released.private)


def test_writing_every_hash_anew_is_no_forgery_by_itself(released: Released) -> None:
    reseal(released)
    assert verify(released.folder, released.public) == []


@pytest.mark.parametrize("name", THOROUGH)
def test_who_writes_every_hash_anew_is_found_by_the_figures(released: Released, name: str) -> None:
    forged = THOROUGH[name]
    forged.change(released.folder)
    if not name.startswith(("less energy", "a figure of")):
        write_documents(released.folder)
    reseal(released)
    problems = verify(released.folder, released.public)
    assert any(forged.found in problem for problem in problems), problems


def test_keys(released: Released, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.key")
    (problem,) = verify(released.folder, other)
    assert "is not a signature of other.key.pub" in problem
    with pytest.raises(InputError, match="is a private key"):
        verify(released.folder, released.private)
    with pytest.raises(InputError, match="no such key"):
        verify(released.folder, tmp_path / "none.pub")
    inside = released.folder / "release.key.pub"
    shutil.copyfile(other, inside)
    with pytest.raises(InputError, match="must come from elsewhere"):
        verify(released.folder, inside)
    inside.unlink()
    (tmp_path / "rubbish.pub").write_text("no key")
    with pytest.raises(InputError, match="no public key"):
        verify(released.folder, tmp_path / "rubbish.pub")


def test_signatures_of_others(released: Released, first_release: Released, tmp_path: Path) -> None:
    sign(released.folder, _other(tmp_path))
    (problem,) = verify(released.folder, released.public)  # signed, by somebody else
    assert "not a signature of" in problem
    signature = released.folder / "model.sig"
    for content in (b"", b"{}", b"\xff\x00", signature.read_bytes()[:-200], b'{"dsseEnvelope": 5}'):
        signature.write_bytes(content)
        (problem,) = verify(released.folder, released.public)
        assert "model.sig is not a signature" in problem and "\n" not in problem
    signature.unlink()
    assert verify(released.folder, released.public) == ["model.sig is missing: the release is not signed"]
    whole = first_release.copy(tmp_path / "another", whole=True)
    whole.release(whole.recipe.model_copy(update={"name": "another"}))
    shutil.copyfile(whole.folder / "model.sig", signature)  # the same key's, of another folder
    assert any("README.md is not what was signed" in line for line in verify(released.folder, released.public))


def test_an_incremental_signature_gives_swapped_weights_away(released: Released) -> None:
    """Weights that were signed before are not read again: whoever swaps them in between has the old digest signed."""
    swap(released.folder)
    sign(released.folder, released.private)
    assert verify(released.folder, released.public) == ["model.safetensors is not what was signed (sha256 differs)"]


def _other(folder: Path) -> Path:
    make_key(folder / "others.key")
    return folder / "others.key"


# Honest releases


def as_published(released: Released) -> None:
    pass


def renamed(released: Released) -> None:
    released.folder.rename(released.workspace / "moved")
    (released.workspace / "release").symlink_to(released.workspace / "moved")


def signed_again(released: Released) -> None:
    sign(released.folder, released.private)


def signed_from_the_start(released: Released) -> None:
    (released.folder / "model.sig").unlink()
    sign(released.folder, released.private)


def own_words(released: Released) -> None:
    with (released.folder / "README.md").open("a") as card:
        card.write("\n## Notes\n\nThanks to everybody: 1.0000 bits of thanks.\n")
    sign(released.folder, released.private)


def own_words_and_erratum(released: Released) -> None:
    own_words(released)
    add_notice(released.folder, "erratum", "The licence of a source | was wrong.\n\nIt is CC-BY-4.0.")
    sign(released.folder, released.private)
    assert "Thanks to everybody" in (released.folder / "README.md").read_text()


def two_errata(released: Released) -> None:
    for _ in range(2):
        add_notice(released.folder, "erratum", "A word was misspelt.")
        sign(released.folder, released.private)


def from_a_hub(released: Released) -> None:
    (released.folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (released.folder / ".cache" / "huggingface" / "download").mkdir(parents=True)
    (released.folder / ".cache" / "huggingface" / "download" / "README.md.metadata").write_text("x")


def in_git(released: Released) -> None:
    (released.folder / ".git" / "objects").mkdir(parents=True)
    (released.folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")


def other_times(released: Released) -> None:
    for path in released.folder.rglob("*"):
        os.utime(path, (0, 0))


def read_only(released: Released) -> None:
    for path in released.folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)


def empty_folder(released: Released) -> None:
    (released.folder / "empty").mkdir()


def documents_again(released: Released) -> None:
    write_documents(released.folder)


IN_A_FOLDER = (
    as_published, renamed, signed_again, signed_from_the_start, own_words, own_words_and_erratum, two_errata,
    from_a_hub, in_git, other_times, read_only, empty_folder, documents_again, reseal,
)  # fmt: skip


@pytest.mark.parametrize("honest", IN_A_FOLDER, ids=lambda one: one.__name__)
def test_honest_releases_are_accepted(released: Released, honest: Callable[[Released], None]) -> None:
    honest(released)
    assert verify(released.folder, released.public) == []
    assert verify(released.folder, None) == []


SETTINGS: dict[str, dict[str, Any]] = {
    "again": {},
    "float32": {"dtype": "float32"},
    "as trained": {"dtype": "as-trained"},
    "nothing stated": {"sources": (), "provider": "", "contact": "", "code_of_practice": None},
    "a small provider": {"small_provider": True, "crawlers": "ExampleBot | respects robots.txt"},
    "odd words": {"provider": 'Größe & "Söhne" <x> 山', "rights_reservation": "{{ 7 * 7 }} {% raw %}"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_honest_releases_of_other_settings_are_accepted(first_release: Released, tmp_path: Path, name: str) -> None:
    whole = first_release.copy(tmp_path, whole=True)
    recipe = whole.recipe
    stated = recipe.release.model_copy(update=SETTINGS[name])
    whole.release(recipe.model_copy(update={"release": stated}))
    assert verify(whole.folder, whole.public) == []


def test_other_curves_and_paths(first_release: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    copy = first_release.copy(tmp_path)
    monkeypatch.chdir(copy.workspace)
    for curve in (ec.SECP384R1(), ec.SECP521R1()):
        key = ec.generate_private_key(curve)
        pem, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        Path("k").write_bytes(secret)
        Path("k.pub").write_bytes(key.public_key().public_bytes(pem, kind))
        sign(Path("release"), Path("k"))
        assert verify(Path("release"), Path("k.pub")) == []


def test_the_librarys_own_command_accepts_it(first_release: Released) -> None:
    folder = first_release.folder
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    command += ["--signature", str(folder / "model.sig"), "--public_key", str(first_release.public)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_with_the_run_at_hand(first_release: Released, tmp_path: Path) -> None:
    """Weights with a manifest, an export record and a signature of their own are still not those of the run."""
    run = first_release.workspace
    assert verify(first_release.folder, first_release.public, run) == []
    copy = first_release.copy(tmp_path)
    swap(copy.folder)
    values("export.json", put("released", "model.safetensors", digest(copy.folder / "model.safetensors")))(copy.folder)
    line(METRICS, 4, put("loss", 1.0))(copy.folder)
    write_documents(copy.folder)
    reseal(copy)
    assert verify(copy.folder, copy.public) == []  # nothing in the folder contradicts it
    problems = verify(copy.folder, copy.public, run)
    assert len(problems) == 2 and any("is not what was trained" in one for one in problems), problems
    assert any("metrics.jsonl is not" in one for one in problems)
    assert verify(copy.folder, copy.public, tmp_path / "nowhere")


def test_a_withdrawn_release_says_so_and_has_no_weights(released: Released) -> None:
    add_notice(released.folder, "withdrawn", "It repeats an address.")
    sign(released.folder, released.private)
    (problem,) = verify(released.folder, released.public)
    assert problem.startswith("notices.json: withdrawn on") and problem.endswith("It repeats an address.")
    assert not [*released.folder.glob("*.safetensors*")]
    assert "> **Withdrawn, " in (released.folder / "README.md").read_text()
    with pytest.raises(InputError, match="was withdrawn on"):
        add_notice(released.folder, "erratum", "More.")


def test_rows_that_are_too_large_are_left_out_and_listed(
    first_release: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = first_release.copy(tmp_path, whole=True)
    monkeypatch.setattr("altiplano.release.evidence.LARGEST", 100)
    whole.release()
    listed = {one.path: one.why for one in EvidenceIndex.read(whole.folder / "evidence" / "index.json").left_out}
    for name in ("train/metrics.jsonl", "evaluate/documents.parquet", "train/ledger.jsonl"):
        assert listed[name] == "larger than 100 B" and not (whole.folder / "evidence" / name).exists()
    assert verify(whole.folder, whole.public) == []
    assert len(not_recomputed(whole.folder)) >= 3


def test_a_notice_needs_a_reason(released: Released) -> None:
    with pytest.raises(InputError, match="say why"):
        add_notice(released.folder, "erratum", "  ")


def test_enough_of_both() -> None:
    assert len(CHANGES) >= 50 and len(IN_A_FOLDER) + len(SETTINGS) >= 20
