"""``compare.json``: two or more models on the same benchmarks and texts. Intervals are of 95 %."""

from typing import Literal

from pydantic import Field

from altiplano.records.record import FileRecord, Interval, Record

ComparisonVerdict = Literal["better", "worse", "no difference told"]


class ComparedScore(Record):
    """One model beside the first one, on a task or a group of held-out text: of the items that both answered."""

    model: str = Field(description="The other model")
    name: str = Field(description="Task, or group of held-out text")
    kind: Literal["task", "text"] = Field(description="task: a benchmark; text: held-out documents")
    metric: str = Field(description="Such as accuracy_per_character; of text bits_per_byte")
    lower_is_better: bool = Field(description="True of bits_per_byte")
    first: float = Field(description="The first model's score")
    second: float = Field(description="The other model's score")
    difference: Interval = Field(description="The other minus the first, paired; not corrected for the number of rows")
    p: float = Field(description="Two-sided p-value of no difference")
    p_holm: float = Field(description="Corrected for the number of rows (Holm 1979)")
    least: float | None = Field(
        description="The smallest difference that gets a verdict here; null where too few items can differ"
    )
    detectable: float | None = Field(description="A true difference that would get one with a probability of 80 %")
    items: int = Field(description="Items or documents that both answered")
    clusters: int = Field(description="Independent ones: passages, documents")
    only_first: int = Field(default=0, description="Items that only the first model answered: left out")
    only_second: int = Field(default=0, description="Items that only the other model answered: left out")
    asked_differently: int = Field(
        default=0, description="Items of the same name with another prompt, other choices or another text: left out"
    )
    verdict: ComparisonVerdict = Field(description="Of the other model")


class Comparison(FileRecord):
    """Models compared with the first of them."""

    first: str = Field(description="Folder of the first model")
    others: list[str] = Field(description="Folders of the others")
    scores: list[ComparedScore] = Field(description="For each other model, each task and group of text")
    notes: list[str] = Field(default_factory=list, description="What was not compared, and why")
