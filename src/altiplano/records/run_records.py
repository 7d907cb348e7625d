"""What a run left on disk, read once for the card, the report and the last screen.

Whatever is missing is None or empty.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

from altiplano.errors import InputError
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.records.answer_calibration import AnswerCalibration
from altiplano.records.benchmarks import Benchmarks
from altiplano.records.corpus import Audit, ShardEntry, ShardList
from altiplano.records.evaluation import Calibration, Evaluation
from altiplano.records.overfitting import Overfitting
from altiplano.records.redteam import Redteam
from altiplano.records.release import Generation, RunFacts, Samples
from altiplano.records.stage import StageManifest
from altiplano.records.training import HeldoutScores, MixtureShares, SourceShare, StepMetrics, TrainingSummary
from altiplano.storage import Damaged

STAGES = ("curate", "tokenize", "train", "evaluate", "calibrate", "redteam", "release")


class Readable(Protocol):
    @classmethod
    def read(cls, path: Path) -> Self: ...


FileType = TypeVar("FileType", bound=Readable)


@dataclass(frozen=True)
class Records:
    """The records of one run, whole or partial."""

    name: str
    workspace: Path
    recipe: Recipe | None
    recipe_text: str
    manifests: dict[str, StageManifest]
    under_way: tuple[str, ...]
    """Stages that have files but no manifest yet."""
    audit: Audit | None
    shards: list[ShardEntry]
    run: TrainingSummary | None
    mixture: list[SourceShare]
    metrics: list[StepMetrics]
    heldout: list[HeldoutScores]
    perplexity: Evaluation | None
    benchmarks: Benchmarks | None
    overfitting: Overfitting | None
    calibration: Calibration | None
    answer_calibration: AnswerCalibration | None
    redteam: Redteam | None
    samples: list[Generation]
    facts: RunFacts | None
    card: str

    @property
    def done(self) -> tuple[str, ...]:
        return tuple(stage for stage in STAGES if stage in self.manifests)


def read_records(workspace: Path, folders: Mapping[str, Path] | None = None, recipe: Recipe | None = None) -> Records:
    """The records of the run in ``workspace``. ``folders`` (stage → folder) replaces the published stage folders.

    Raises InputError when ``workspace`` is not a run folder, or a file in it is of another version of Altiplano.
    """
    found = dict(folders) if folders is not None else _stage_folders(workspace)
    text = workspace / "recipe.toml"
    if not found and not text.exists():
        raise InputError(f"{workspace} is not the folder of a run: it has neither recipe.toml nor any stage in it")
    manifests = {stage: _read(StageManifest, folder / "manifest.json") for stage, folder in found.items()}
    for stage in [stage for stage in found if _is_stale(manifests[stage], manifests)]:
        del found[stage], manifests[stage]

    def file(stage: str, path: str) -> Path:
        return found.get(stage, workspace / "absent") / path

    shards = _read(ShardList, file("tokenize", "shards.json"))
    mixture = _read(MixtureShares, file("train", "mixture.json"))
    samples = _read(Samples, file("release", "samples.json"))
    return Records(
        name=recipe.name if recipe is not None else workspace.resolve().name,
        workspace=workspace,
        recipe=recipe if recipe is not None else _recipe(text),
        recipe_text=text.read_text(encoding="utf-8") if text.exists() else "",
        manifests={stage: manifest for stage, manifest in manifests.items() if manifest},
        under_way=tuple(stage for stage in STAGES if stage in found and not manifests[stage]),
        audit=_read(Audit, file("curate", "audit.json")),
        shards=shards.shards if shards else [],
        run=_read(TrainingSummary, file("train", "run.json")),
        mixture=mixture.root if mixture else [],
        metrics=StepMetrics.read_lines(file("train", "metrics.jsonl")),
        heldout=HeldoutScores.read_lines(file("train", "heldout.jsonl")),
        perplexity=_read(Evaluation, file("evaluate", "perplexity.json")),
        benchmarks=_read(Benchmarks, file("evaluate", "benchmarks/benchmarks.json")),
        overfitting=_read(Overfitting, file("evaluate", "overfitting.json")),
        calibration=_read(Calibration, file("calibrate", "calibration.json")),
        answer_calibration=_read(AnswerCalibration, file("calibrate", "answer_calibration.json")),
        redteam=_read(Redteam, file("redteam", "redteam.json")),
        samples=samples.root if samples else [],
        facts=_read(RunFacts, file("release", "facts.json")),
        card=_text(file("release", "README.md")),
    )


def dropped_by_reason(records: Records) -> list[tuple[str, int]]:
    """Dropped documents per reason, the commonest first."""
    counts: Counter[str] = Counter()
    for row in records.audit.dropped if records.audit else []:
        counts[row.reason] += row.documents
    return counts.most_common()


def _read(kind: type[FileType], path: Path) -> FileType | None:
    """None when there is no such file, or it is not what was written."""
    try:
        return kind.read(path)
    except (OSError, Damaged):
        return None


def _is_stale(manifest: StageManifest | None, manifests: Mapping[str, StageManifest | None]) -> bool:
    """Whether a published stage was computed from inputs that have been, or are being, replaced."""
    for stage, used in manifest.inputs.items() if manifest else ():
        now = manifests.get(stage)
        if stage in manifests and (now is None or now.hash != used):
            return True
    return False


def _stage_folders(workspace: Path) -> dict[str, Path]:
    """Published stage folders; for a stage that has none, the newest one in the making."""
    found = {}
    for stage in STAGES:
        work = sorted((workspace / ".work").glob(f"{stage}-*"), key=lambda path: path.stat().st_mtime)
        if (workspace / stage).is_dir():
            found[stage] = workspace / stage
        elif work:
            found[stage] = work[-1]
    return found


def _recipe(path: Path) -> Recipe | None:
    if not path.exists():
        return None
    try:
        return load_recipe(str(path))
    except InputError:
        # A run of an older version: its records are still worth reading.
        return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
