"""The evidence: what every figure of a release is computed from, as a run's folder without its text and checkpoints.

``evidence/`` is laid out as the run is, so that ``read_records`` reads it. Files are the run's own, byte for byte,
unless the index names what was taken out. No document's text, no personal data and no path of a machine is in it.
"""

import json
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomli_w

from altiplano.optional_imports import extra
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import is_training
from altiplano.recipe.units import human_bytes
from altiplano.records import Audit, EvidenceFile, EvidenceIndex, Incident, LeftOut, StageManifest, TrainingSummary
from altiplano.records.run_records import TRAIN, Records, read_records
from altiplano.release.documents.data_statistics import write_statistics
from altiplano.storage import all_in, digest, read_json, read_lines, rewrite_lines, write_json, write_text

FOLDER, INDEX = "evidence", "index.json"
LARGEST = 1 << 30
"""Files of rows above this many bytes are left out, and listed; their figures are then not recomputed."""
ROWS = (".jsonl", ".parquet")
LIBRARIES = ("jinja2", "numpy", "pydantic", "safetensors", "tiktoken", "tokenizers", "torch")

WHOLE = {
    "tokenize": ("shards.json", "tokenizer/*.json"),
    "train": ("metrics.jsonl", "heldout.jsonl", "mixture.json", "ledger.jsonl", "skips.json", "changes.jsonl"),
    "evaluate": ("perplexity.json", "overfitting.json", "documents.parquet", "benchmarks/benchmarks.json"),
    "calibrate": ("calibration.json", "answer_calibration.json"),
    "redteam": ("**/*.json", "**/*.jsonl", "**/*.parquet"),
}
"""Patterns of files that are copied byte for byte."""
WHY = {
    "curate/documents": "the text itself; counts are in data/",
    "curate/personal_data": "hashes of removed personal data",
    "curate/inputs.json": "names of raw files; a hash of them all is in curate/manifest.json",
    "curate/counts.json": "names of raw files; its sums are in curate/audit.json",
    "tokenize/train": "the text itself; sha256 of each shard is in tokenize/shards.json",
    "tokenize/heldout": "the text itself; sha256 of each shard is in tokenize/shards.json",
    "train/weights": "the weights; sha256 of each file is in the manifest.json beside it",
    "train/checkpoints": "states of training",
}
PATHS = "folders of paths in the recipe"
"""Taken out of a manifest: its hash can then not be computed anew."""
ANSWER_TEXTS = ("prompt", "choices", "written", "references")
"""What of an answer is a benchmark's text, which must not end up in training data."""


@dataclass(frozen=True)
class Reduced:
    """A file of the run of which something is taken out."""

    removed: str
    write: Callable[[Path, Path], None]


def write_evidence(inputs: Mapping[str, Path], recipe: Recipe, cluster: Cluster, folder: Path) -> EvidenceIndex:
    """Write ``folder``, which must not exist, from the stage folders ``inputs``; return its index."""
    folder.mkdir(parents=True)
    files, left_out = [], []
    for stage, source in inputs.items():
        taken = set()
        for path in _matching(source, whole_files(stage)):
            name = f"{stage}/{path.relative_to(source)}"
            taken.add(path)
            if path.suffix in ROWS and path.stat().st_size > LARGEST:
                left_out.append(LeftOut(path=name, why=f"larger than {human_bytes(LARGEST)}"))
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
            files.append(EvidenceFile(path=name, source=name, sha256=digest(folder / name)))
        for path, target, how in _reduced(stage, source):
            taken.add(path)
            (folder / stage / target).parent.mkdir(parents=True, exist_ok=True)
            how.write(path, folder / stage / target)
            made, name = digest(folder / stage / target), f"{stage}/{target}"
            removed = how.removed if made != digest(path) else ""
            origin = f"{stage}/{path.relative_to(source)}"
            files.append(EvidenceFile(path=name, source=origin, sha256=made, removed=removed))
        left_out += _rest(stage, source, taken)
    write_text(folder / "recipe.toml", tomli_w.dumps(without_paths(recipe.model_dump(mode="json", exclude_none=True))))
    write_json(folder / "cluster.json", without_paths(cluster.model_dump(mode="json", exclude={"launch", "layout"})))
    write_json(folder / "environment.json", environment())
    made_here = ["recipe.toml", "cluster.json", "environment.json"]
    made_here += write_statistics(inputs, recipe, folder / "data")
    files += [EvidenceFile(path=name, sha256=digest(folder / name)) for name in made_here]
    index = EvidenceIndex(
        files=sorted(files, key=lambda one: one.path), left_out=sorted(left_out, key=lambda one: one.path)
    )
    index.write(folder / INDEX)
    return index


def read_evidence(folder: Path) -> Records:
    """The records in the evidence of a release's folder. Raises as ``read_records``."""
    evidence = folder / FOLDER
    return read_records(evidence, recipe=read_recipe(evidence))


def read_recipe(evidence: Path) -> Recipe:
    """The recipe without its paths: read as it is, for what it names is not on this machine."""
    return Recipe.model_validate(tomllib.loads((evidence / "recipe.toml").read_text(encoding="utf-8")))


def read_cluster(evidence: Path) -> Cluster:
    return Cluster.model_validate(read_json(evidence / "cluster.json"))


def environment() -> dict[str, str]:
    """Versions of the libraries that every run needs."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def whole_files(stage: str) -> tuple[str, ...]:
    """Patterns of a stage's files that are copied byte for byte."""
    return WHOLE.get(_kind(stage), ())


def _kind(stage: str) -> str:
    """A phase of training leaves what training does."""
    return TRAIN if is_training(stage) else stage


def _matching(source: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Files that match any, sorted. Raises OSError when a folder cannot be listed, where Path.glob leaves it out."""
    names = [path.relative_to(source) for path in all_in(source) if path.is_file()] if source.exists() else []
    return [source / name for name in names if str(name) != "manifest.json" and _matches(name, patterns)]


def _matches(name: Path, patterns: tuple[str, ...]) -> bool:
    anywhere = [pattern.removeprefix("**/") for pattern in patterns if pattern.startswith("**/")]
    there = [pattern for pattern in patterns if len(Path(pattern).parts) == len(name.parts)]
    return any(name.match(pattern) for pattern in (*anywhere, *there))


def _reduced(stage: str, source: Path) -> Iterator[tuple[Path, str, Reduced]]:
    """Files of a stage that cannot be published as they are: where, as what, how."""
    made = source / "manifest.json"
    if made.exists():
        yield made, "manifest.json", Reduced(_removed_of_manifest(made), _write_manifest)
    known = {
        "curate/audit.json": Reduced("text and places of examples, the salt of hashes", _write_audit),
        "train/run.json": Reduced("tracebacks", _write_run),
        "train/incidents.jsonl": Reduced("tracebacks", _write_incidents),
    }
    for name, how in known.items():
        path = source.parent / source.name / name.partition("/")[2]
        if name.startswith(f"{_kind(stage)}/") and path.exists():
            yield path, name.partition("/")[2], how
    if stage == "evaluate":
        for path in _matching(source / "benchmarks" / "answers", ("**/*.parquet",)):
            target = path.relative_to(source).with_suffix(".jsonl").as_posix()
            yield path, target, Reduced("text of prompts, choices and answers", _write_answers)


def _rest(stage: str, source: Path, taken: set[Path]) -> Iterator[LeftOut]:
    """What else is in the stage's folder, by its first name."""
    for path in sorted(source.iterdir()):
        name = f"{stage}/{path.name}"
        inside = [file for file in all_in(path) if file.is_file()] if path.is_dir() else [path]
        if path.name != "manifest.json" and inside and not taken.issuperset(inside):
            yield LeftOut(path=name, why=WHY.get(f"{_kind(stage)}/{path.name}", "says nothing of the figures"))


def _write_audit(source: Path, target: Path) -> None:
    audit = Audit.read(source)
    reduced: dict[str, Any] = {
        "salt": "",
        "examples": [],
        "disagreements": [],
        "bad_records": [one.model_copy(update={"example": ""}) for one in audit.bad_records],
        "untranslated": [one.model_copy(update={"pages": []}) for one in audit.untranslated],
    }
    audit.model_copy(update={key: value for key, value in reduced.items() if getattr(audit, key)}).write(target)


def _write_run(source: Path, target: Path) -> None:
    run = TrainingSummary.read(source)
    if run.incidents:
        run = run.model_copy(update={"incidents": [_without_traceback(one) for one in run.incidents]})
    run.write(target)


def _write_incidents(source: Path, target: Path) -> None:
    rewrite_lines(target, [_without_traceback(one).line() for one in Incident.read_lines(source)])


def _without_traceback(incident: Incident) -> Incident:
    return incident.model_copy(update={"traceback": None}) if incident.traceback else incident


def _write_answers(source: Path, target: Path) -> None:
    rows = extra("pyarrow.parquet", "evaluation", "benchmarks").read_table(source).to_pylist()
    kept = [{k: v for k, v in row.items() if k not in ANSWER_TEXTS} | {"choices": len(row["choices"])} for row in rows]
    rewrite_lines(target, [json.dumps(row | {"scores": dict(row["scores"])}, sort_keys=True) for row in kept])


def read_answers(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of each task's answers, of the evidence's ``evaluate/benchmarks/answers``."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in _matching(folder, ("**/*.jsonl",)):
        for row in read_lines(path):
            found.setdefault(str(row.get("task")), []).append(row)
    return found


def _write_manifest(source: Path, target: Path) -> None:
    """Without paths of the machine; where there are none, the very hash can be computed anew."""
    manifest = StageManifest.read(source)
    records = {name: value for name, value in manifest.records.items() if not name.startswith(".")}
    manifest.model_copy(update={"recipe": without_paths(manifest.recipe), "records": records}).write(target)


def _removed_of_manifest(source: Path) -> str:
    manifest = StageManifest.read(source)
    paths = PATHS if without_paths(manifest.recipe) != manifest.recipe else ""
    hidden = "hidden files of records" if any(name.startswith(".") for name in manifest.records) else ""
    return ", ".join(part for part in (paths, hidden) if part)


def without_paths(value: Any) -> Any:
    """The same plain values, of absolute paths the last name alone."""
    if isinstance(value, dict):
        return {key: without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_paths(inner) for inner in value]
    if isinstance(value, str) and value.startswith("/") and Path(value).name:
        return Path(value).name
    return value
