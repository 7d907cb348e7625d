"""What a run left on disk, read once for the card, the report and the last screen.

Whatever is missing is None or empty.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

from altiplano.errors import InputError
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import is_training, trainings
from altiplano.records.answer_calibration import AnswerCalibration
from altiplano.records.benchmarks import Benchmarks
from altiplano.records.corpus import Audit, ShardEntry, ShardList
from altiplano.records.evaluation import Calibration, Evaluation
from altiplano.records.overfitting import Overfitting
from altiplano.records.redteam import Redteam
from altiplano.records.release import Generation, RunFacts, Samples
from altiplano.records.stage import StageManifest, work_folders
from altiplano.records.training import (
    Goodput,
    HeldoutScores,
    MixtureShares,
    SourceShare,
    StepMetrics,
    TrainingSummary,
)
from altiplano.storage import read_if_there

TRAIN = "train"
STAGES = ("curate", "tokenize", TRAIN, "evaluate", "calibrate", "redteam", "release")


def stage_names(recipe: Recipe | None) -> tuple[str, ...]:
    """Names of a run's stages, in order: each phase of training is one."""
    trained = [one.stage for one in trainings(recipe)] if recipe is not None else [TRAIN]
    return tuple(name for stage in STAGES for name in (trained if stage == TRAIN else [stage]))


class Readable(Protocol):
    @classmethod
    def read(cls, path: Path) -> Self: ...


FileType = TypeVar("FileType", bound=Readable)
Line = TypeVar("Line", StepMetrics, HeldoutScores)


@dataclass(frozen=True)
class TrainingRecords:
    """What one training of a run left; its steps are counted from its own beginning."""

    stage: str
    run: TrainingSummary | None
    mixture: list[SourceShare]
    metrics: list[StepMetrics]
    heldout: list[HeldoutScores]


@dataclass(frozen=True)
class Records:
    """The records of one run, whole or partial.

    Of several trainings (phases) ``run``, ``metrics`` and ``heldout`` are one after another, as if they were one:
    steps, seconds and sessions count on. What cannot be added up (layout, speed, memory) is the last one's.
    """

    name: str
    workspace: Path
    recipe: Recipe | None
    recipe_text: str
    manifests: dict[str, StageManifest]
    under_way: tuple[str, ...]
    """Stages that have files but no manifest yet."""
    audit: Audit | None
    shards: list[ShardEntry]
    trainings: tuple[TrainingRecords, ...]
    """Those that have begun, in order."""
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
        return tuple(stage for stage in self.stages if stage in self.manifests)

    @property
    def stages(self) -> tuple[str, ...]:
        return stage_names(self.recipe)

    @property
    def trained(self) -> str:
        """The stage whose weights are released: the last training."""
        return next(stage for stage in reversed(self.stages) if is_training(stage))


def read_records(workspace: Path, folders: Mapping[str, Path] | None = None, recipe: Recipe | None = None) -> Records:
    """The records of the run in ``workspace``. ``folders`` (stage → folder) replaces the published stage folders.

    Raises InputError when ``workspace`` is not a run folder, or a file in it is damaged or of another version of
    Altiplano, and OSError when one cannot be read.
    """
    text = workspace / "recipe.toml"
    recipe_of_run = recipe if recipe is not None else _recipe(text)
    stages = stage_names(recipe_of_run)
    found = dict(folders) if folders is not None else _stage_folders(workspace, stages)
    if not found and not text.exists():
        raise InputError(f"{workspace} is not the folder of a run: it has neither recipe.toml nor any stage in it")
    manifests = {stage: _read(StageManifest, folder / "manifest.json") for stage, folder in found.items()}
    for stage in [stage for stage in found if _is_stale(manifests[stage], manifests)]:
        del found[stage], manifests[stage]

    def file(stage: str, path: str) -> Path:
        return found.get(stage, workspace / "absent") / path

    shards = _read(ShardList, file("tokenize", "shards.json"))
    trained = tuple(_training(stage, found[stage]) for stage in stages if is_training(stage) and stage in found)
    samples = _read(Samples, file("release", "samples.json"))
    return Records(
        name=recipe.name if recipe is not None else workspace.resolve().name,
        workspace=workspace,
        recipe=recipe_of_run,
        recipe_text=text.read_text(encoding="utf-8") if text.exists() else "",
        manifests={stage: manifest for stage, manifest in manifests.items() if manifest},
        under_way=tuple(stage for stage in stages if stage in found and not manifests[stage]),
        audit=_read(Audit, file("curate", "audit.json")),
        shards=shards.shards if shards else [],
        trainings=trained,
        run=_together([one.run for one in trained if one.run]),
        mixture=trained[-1].mixture if trained else [],
        metrics=_counted_on(trained, [one.metrics for one in trained]),
        heldout=_counted_on(trained, [one.heldout for one in trained]),
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


def _training(stage: str, folder: Path) -> TrainingRecords:
    mixture = _read(MixtureShares, folder / "mixture.json")
    return TrainingRecords(
        stage=stage,
        run=_read(TrainingSummary, folder / "run.json"),
        mixture=mixture.root if mixture else [],
        metrics=StepMetrics.read_lines(folder / "metrics.jsonl"),
        heldout=HeldoutScores.read_lines(folder / "heldout.jsonl"),
    )


def _counted_on(trained: Sequence[TrainingRecords], lines: Sequence[Sequence[Line]]) -> list[Line]:
    """The lines of all trainings, with steps that go on where the training before ended."""
    before, found = 0, list[Line]()
    for one, its_lines in zip(trained, lines, strict=True):
        found += [line.model_copy(update={"step": line.step + before}) for line in its_lines] if before else its_lines
        before += one.run.steps if one.run else 0
    return found


def _together(runs: Sequence[TrainingSummary]) -> TrainingSummary | None:
    """Several trainings as one."""
    if len(runs) < 2:
        return runs[0] if runs else None
    sessions, before = [], 0
    for one in runs:
        for session in one.sessions:
            ends = {
                key: value + before
                for key in ("first_step", "last_step")
                if (value := getattr(session, key)) is not None
            }
            sessions.append(session.model_copy(update=ends))
        before += one.steps
    booked = [one.goodput for one in runs if one.goodput]
    return runs[-1].model_copy(
        update={
            "steps": before,
            "seconds": sum(one.seconds for one in runs),
            "restarts": sum(one.restarts for one in runs),
            "sessions": sessions,
            "incidents": [incident for one in runs for incident in one.incidents],
            "goodput": _goodput(booked) if booked else None,
        }
    )


def _goodput(booked: Sequence[Goodput]) -> Goodput:
    """Of several trainings: seconds add up; shares are means by wall-clock."""
    wall = sum(one.wall for one in booked)
    names = dict.fromkeys(name for one in booked for name in one.seconds)

    def share(values: Sequence[float | None]) -> float | None:
        known = [(value, one.wall) for value, one in zip(values, booked, strict=True) if value is not None]
        whole = sum(seconds for _, seconds in known)
        return sum(value * seconds for value, seconds in known) / whole if whole else None

    return Goodput(
        seconds={name: sum(one.seconds.get(name, 0.0) for one in booked) for name in names},
        booked=sum(one.booked for one in booked),
        wall=wall,
        share=share([one.share for one in booked]),
        forward=share([one.forward for one in booked]),
    )


def dropped_by_reason(records: Records) -> list[tuple[str, int]]:
    """Dropped documents per reason, the commonest first."""
    counts: Counter[str] = Counter()
    for row in records.audit.dropped if records.audit else []:
        counts[row.reason] += row.documents
    return counts.most_common()


def _read(kind: type[FileType], path: Path) -> FileType | None:
    """None only when there is no such file: a release without what is damaged, or what a failing disk hides, would
    look whole."""
    return read_if_there(path, kind.read)


def _is_stale(manifest: StageManifest | None, manifests: Mapping[str, StageManifest | None]) -> bool:
    """Whether a published stage was computed from inputs that have been, or are being, replaced."""
    for stage, used in manifest.inputs.items() if manifest else ():
        now = manifests.get(stage)
        if stage in manifests and (now is None or now.hash != used):
            return True
    return False


def _stage_folders(workspace: Path, stages: Sequence[str]) -> dict[str, Path]:
    """Published stage folders; for a stage that has none, the newest one in the making."""
    found = {}
    for stage in stages:
        work = sorted((workspace / ".work").glob(work_folders(stage)), key=lambda path: path.stat().st_mtime)
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
    except InputError as error:
        if isinstance(error.__cause__, OSError):
            raise
        # A run of an older version: its records are still worth reading.
        return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
