"""``answer_calibration.json``: probabilities of the choices of benchmark items, fitted on tasks, judged on others.

Intervals are of 95 %, over clusters: items that share a passage or a question are not independent.
"""

from pydantic import Field

from altiplano.records.evaluation import AnswerTemperature, ReliabilityBin
from altiplano.records.record import FileRecord, Interval, Record


class AnswerScores(Record):
    """How far probabilities of choices can be trusted."""

    nll: Interval | None = Field(default=None, description="Nats per item; null where only one choice has one")
    brier: Interval | None = Field(default=None, description="Brier score over an item's choices, 0 to 2")
    brier_top: Interval = Field(description="Mean squared distance of the confidence from 0 (wrong) or 1 (right)")
    ece: Interval = Field(description="Expected calibration error over bins of equal width")
    ece_floor: float = Field(description="What a calibrated model of these confidences would show, on average")
    adaptive_ece: Interval = Field(description="The same over bins of equal count")
    accuracy: Interval = Field(description="How often the likeliest choice is right")
    confidence: Interval = Field(description="Mean probability of the likeliest choice")
    aurc: Interval = Field(description="Area under the risk–coverage curve: lower is better")


class RiskAtCoverage(Record):
    """A point of the risk–coverage curve."""

    coverage: float = Field(description="Share of items that are answered, the most confident first")
    risk: float = Field(description="Share of wrong answers among them")


class JudgedAnswers(Record):
    """Items judged with what was fitted on other tasks."""

    fitted_on: list[str] = Field(description="Tasks; empty of all tasks together, each judged by the others")
    temperature: float | None = Field(default=None, description="Fitted on them; null of all tasks together")
    own_temperature: float | None = Field(default=None, description="What the task alone would have")
    left_out: int = Field(
        description="Items of the other tasks that share a question or choices with this one: not fitted on"
    )
    items: int = Field(description="Items that were judged")
    clusters: int = Field(description="Independent ones: passages, questions")
    scores: dict[str, AnswerScores] = Field(description="By uncalibrated, temperature, platt, vector")
    ece_change: Interval = Field(description="By the temperature, paired; below 0: better")
    nll_change: Interval = Field(description="By the temperature, paired; below 0: better")
    before: list[ReliabilityBin] = Field(description="The reliability diagram at temperature 1")
    after: list[ReliabilityBin] = Field(description="The same at the fitted temperature")
    risk_coverage: list[RiskAtCoverage] = Field(description="At the fitted temperature, at most 100 points")


class CrossTask(Record):
    """A temperature fitted on one task, judged on one."""

    fitted_on: str = Field(description="Task")
    judged_on: str = Field(description="Task; the same: fitted on one half of its clusters, judged on the other")
    temperature: float | None = Field(description="null: the fitted task has no item that is not also judged")
    left_out: int = Field(
        description="Items of the first that share a question or choices with the second: not fitted on"
    )
    ece_before: Interval | None = Field(default=None, description="Expected calibration error at temperature 1")
    ece: Interval | None = Field(default=None, description="The same at that temperature")
    nll: Interval | None = Field(default=None, description="Nats per item at that temperature")


class NormalisationScores(Record):
    """The fitted tasks by one normalisation, each at the temperature of the other fitted ones."""

    temperature: float = Field(description="Fitted on all")
    nll: float = Field(description="Nats per item, mean of the tasks")
    ece: float = Field(description="Expected calibration error, mean of the tasks")
    accuracy: float = Field(description="Mean of the tasks")


class AnswerCalibration(FileRecord):
    """An answer temperature, and how well each task's choices are calibrated by what was fitted on the others."""

    model: str = Field(description="Name of the model")
    fingerprint: str = Field(default="", description="Of its weights")
    answer_temperature: AnswerTemperature = Field(description="What is deployed")
    bins: int = Field(description="Of calibration errors")
    together: JudgedAnswers = Field(description="All judged tasks, each by the others")
    tasks: dict[str, JudgedAnswers] = Field(description="Judged tasks, by name")
    not_judged: list[str] = Field(
        default_factory=list, description="Tasks whose questions are also those of every task that was fitted on"
    )
    matrix: list[CrossTask] = Field(description="Every task by every task")
    normalisations: dict[str, NormalisationScores] = Field(description="By normalisation")
    left_out: dict[str, int] = Field(default_factory=dict, description="Items that are not calibrated, by reason")
