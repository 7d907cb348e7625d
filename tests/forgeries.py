"""What a forger may do to a release: files edited, swapped, removed and added; and every hash written anew."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from real_release import Released

from altiplano.records import EvidenceIndex, StageManifest
from altiplano.release.evidence import PATHS
from altiplano.release.signing import sign
from altiplano.release.verification.lineage_check import hash_of
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
