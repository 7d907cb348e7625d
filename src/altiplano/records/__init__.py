"""The shape of every file that one part of Altiplano writes and another reads.

Writers construct these models, readers use their attributes. ``run_records`` reads a whole run.
"""

from typing import Any

from pydantic import BaseModel

from altiplano.records.answer_calibration import (
    AnswerCalibration,
    AnswerScores,
    CrossTask,
    JudgedAnswers,
    NormalisationScores,
    RiskAtCoverage,
)
from altiplano.records.benchmarks import Benchmarks, GroupScore, TaskScore
from altiplano.records.comparison import ComparedScore, Comparison
from altiplano.records.corpus import (
    Audit,
    CurationCounts,
    DroppedGroup,
    FunnelStep,
    KeptGroup,
    RuleExample,
    ShardCounts,
    ShardEntry,
    ShardList,
    TextGroup,
    Thresholds,
    UntranslatedCollection,
)
from altiplano.records.evaluation import (
    AnswerTemperature,
    Calibration,
    Evaluation,
    GroupScores,
    ReliabilityBin,
    ReliabilityCurve,
    TrainGap,
)
from altiplano.records.known import Known
from altiplano.records.overfitting import HeldoutRise, Overfitting, OverfittingTest
from altiplano.records.power import PlantedTraining, RedteamPower, Trial
from altiplano.records.record import FileRecord, Interval, ListRecord, Record
from altiplano.records.redteam import AttackExample, AttackResult, ControlRate, GateLimit, HitRate, Redteam
from altiplano.records.release import (
    EvidenceFile,
    EvidenceIndex,
    Export,
    Generation,
    Grid,
    LeftOut,
    Notice,
    Notices,
    PlannedRun,
    RunFacts,
    Samples,
)
from altiplano.records.stage import StageManifest, StageMeasurements
from altiplano.records.texts import PositionBand, TextEvaluation
from altiplano.records.trace import CuratedFile, TraceIndex
from altiplano.records.training import (
    CheckpointManifest,
    FaultFormula,
    Goodput,
    HeldoutScores,
    Incident,
    LedgerEvent,
    MixtureShares,
    SkippedWork,
    SourceShare,
    StepMetrics,
    TextScores,
    TrainingSession,
    TrainingSummary,
)

SCHEMAS: dict[str, type[BaseModel]] = {
    "STAGE/manifest.json": StageManifest,
    "curate/audit.json": Audit,
    "curate/counts.json": CurationCounts,
    "tokenize/shards.json": ShardList,
    "train/run.json": TrainingSummary,
    "train/metrics.jsonl": StepMetrics,
    "train/heldout.jsonl": HeldoutScores,
    "train/mixture.json": MixtureShares,
    "train/ledger.jsonl": LedgerEvent,
    "train/incidents.jsonl": Incident,
    "train/skips.json": SkippedWork,
    "train/checkpoints/step-NNNNNNNN/manifest.json": CheckpointManifest,
    "evaluate/perplexity.json": Evaluation,
    "evaluate/overfitting.json": Overfitting,
    "evaluate/benchmarks/benchmarks.json": Benchmarks,
    "calibrate/calibration.json": Calibration,
    "calibrate/answer_calibration.json": AnswerCalibration,
    "redteam/redteam.json": Redteam,
    "release/facts.json": RunFacts,
    "release/samples.json": Samples,
    "release/export.json": Export,
    "release/evidence/index.json": EvidenceIndex,
    "release/notices.json": Notices,
    "trace/SPLIT/index.json": TraceIndex,
    "compare.json": Comparison,
    "texts.json": TextEvaluation,
    "known.json": Known,
    "power.json": RedteamPower,
    "trainings/NAME.json": PlantedTraining,
}
"""The model of each file by its place in a run's folder, or in another; of a JSON Lines file, the model of a line."""


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each file (of a JSON Lines file, of a line) by its place in a run's folder."""
    return {place: model.model_json_schema() for place, model in SCHEMAS.items()}


__all__ = [
    "SCHEMAS",
    "AnswerCalibration",
    "AnswerScores",
    "AnswerTemperature",
    "AttackExample",
    "AttackResult",
    "Audit",
    "Benchmarks",
    "Calibration",
    "CheckpointManifest",
    "ComparedScore",
    "Comparison",
    "ControlRate",
    "CrossTask",
    "CuratedFile",
    "CurationCounts",
    "DroppedGroup",
    "Evaluation",
    "EvidenceFile",
    "EvidenceIndex",
    "Export",
    "FaultFormula",
    "FileRecord",
    "FunnelStep",
    "GateLimit",
    "Generation",
    "Goodput",
    "Grid",
    "GroupScore",
    "GroupScores",
    "HeldoutRise",
    "HeldoutScores",
    "HitRate",
    "Incident",
    "Interval",
    "JudgedAnswers",
    "KeptGroup",
    "Known",
    "LedgerEvent",
    "LeftOut",
    "ListRecord",
    "MixtureShares",
    "NormalisationScores",
    "Notice",
    "Notices",
    "Overfitting",
    "OverfittingTest",
    "PlannedRun",
    "PlantedTraining",
    "PositionBand",
    "Record",
    "Redteam",
    "RedteamPower",
    "ReliabilityBin",
    "ReliabilityCurve",
    "RiskAtCoverage",
    "RuleExample",
    "RunFacts",
    "Samples",
    "ShardCounts",
    "ShardEntry",
    "ShardList",
    "SkippedWork",
    "SourceShare",
    "StageManifest",
    "StageMeasurements",
    "StepMetrics",
    "TaskScore",
    "TextEvaluation",
    "TextGroup",
    "TextScores",
    "Thresholds",
    "TraceIndex",
    "TrainGap",
    "TrainingSession",
    "TrainingSummary",
    "Trial",
    "UntranslatedCollection",
    "json_schemas",
]
