"""How often the red team's tests find what was planted: ``power.json``, and the result of each small training."""

from typing import Literal

from pydantic import Field

from altiplano.records.record import FileRecord, Record

Dose = Literal["low", "middle", "high"]


class Trial(Record):
    """One test on one small training."""

    test: str = Field(description="Name of the test")
    p: float = Field(description="Its p-value")
    detected: bool = Field(description="p-value at the level or below")
    note: str = Field(default="", description="What was found")


class PlantedTraining(FileRecord):
    """One small training with defects, or its clean twin, and what the tests say of it."""

    key: str = Field(description="Hash of what determines the result: settings, doses, version")
    seed: int = Field(description="Of text, weights and tests")
    dose: Dose = Field(description="Of all defects")
    clean: bool = Field(description="The twin: innocent documents in the place of those with defects")
    parameters: int = Field(description="Of the model")
    tokens: int = Field(description="Of training text")
    seconds: float = Field(description="That training and tests took")
    trials: list[Trial] = Field(description="One a test")


class Share(Record):
    """Alarms among trainings, with Wilson's 95 % interval."""

    n: int = Field(description="Trainings")
    alarms: int = Field(description="With an alarm")
    low: float = Field(description="Lower end of the interval of their share")
    high: float = Field(description="Upper end")

    @property
    def rate(self) -> float:
        return self.alarms / self.n if self.n else 0.0


class DosePower(Record):
    """Alarms at one dose."""

    dose: Dose = Field(description="Which")
    amount: int = Field(description="In the defect's unit")
    found: Share = Field(description="Of trainings with the defect")


class PowerOfTest(Record):
    """One test and the defect that it is to find."""

    test: str = Field(description="Name of the test")
    defect: str = Field(description="What was planted")
    unit: str = Field(description="Of the amounts")
    doses: list[DosePower] = Field(description="Power by dose")
    clean: Share = Field(description="False alarms: alarms among clean twins")


class RedteamPower(FileRecord):
    """``power.json``: the power and the false alarms of every test, measured on small trainings."""

    date: str = Field(description="Of the measurement, ISO 8601")
    parameters: int = Field(description="Of each model")
    tokens: int = Field(description="Of training text, on average")
    epochs: int = Field(description="How often each text was read")
    level: float = Field(description="p-value from which down a test raises its alarm")
    seeds: list[int] = Field(description="Of the trainings with defects")
    tests: list[PowerOfTest] = Field(description="One a defect")


class PrintedPower(Record):
    """What stands beside a verdict: how often this test found its defect, in small trainings."""

    amount: str = Field(description="The middle dose in words")
    found: Share = Field(description="At the middle dose")
    clean: Share = Field(description="False alarms")
    parameters: int = Field(description="Of the small models")
