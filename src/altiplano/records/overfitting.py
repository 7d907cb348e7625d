"""``overfitting.json``: tests of a trained model for overfitting, each with what it could have seen.

Every value is in bits per byte, positive where it points to overfitting. Intervals are of 95 %.
"""

from typing import Literal

from pydantic import Field

from altiplano.records.record import FileRecord, Interval, Record

TestName = Literal["gap", "trend", "benchmark trend", "contamination", "repetition"]
OverfittingVerdict = Literal["shown", "not shown", "cannot be told"]


class OverfittingTest(Record):
    """One test on one group of text or one benchmark."""

    test: TestName = Field(description="What is tested")
    name: str = Field(description="Domain, or task; all of everything together")
    effect: Interval | None = Field(default=None, description="Bits per byte; null where nothing could be measured")
    detectable: float | None = Field(
        default=None, description="A true effect that this test would call shown with a probability of 80 %"
    )
    verdict: OverfittingVerdict = Field(
        description="shown: the interval is above the margin; not shown: below it; cannot be told: it holds the "
        "margin, or there is too little to test"
    )
    sample: str = Field(default="", description="What was compared, in words")
    note: str = Field(default="", description="What else a reader should know")


class HeldoutRise(Record):
    """An evaluation in training with a higher held-out loss than the one before."""

    step: int = Field(description="Steps taken")
    before: float = Field(description="Bits per byte at the evaluation before")
    after: float = Field(description="Bits per byte at this one")


class Overfitting(FileRecord):
    """All tests."""

    margin: float = Field(description="Bits per byte that count as overfitting (evaluation.overfitting_margin)")
    tests: list[OverfittingTest] = Field(description="In order")
    rises: list[HeldoutRise] = Field(default_factory=list, description="Of all held-out text, in order")
