"""``benchmarks.json``: what a model scored on evaluation benchmarks.

Intervals are of 95 %, over clusters: items that share a passage are not independent.
"""

from pydantic import Field

from altiplano.records.record import FileRecord, Interval, Record

IN_EVALUATE = "benchmarks"
"""The folder in the evaluate stage's."""


class TaskScore(Record):
    """One benchmark."""

    metric: str = Field(description="What counts, such as accuracy_per_character")
    score: Interval = Field(description="Mean of the items, 0 to 1; of bits_per_byte bits per byte")
    standard_error: float | None = Field(description="Of the score; null of one cluster alone")
    items: int = Field(description="Items that were scored")
    clusters: int = Field(description="Independent ones: passages, documents")
    chance: float | None = Field(default=None, description="What guessing scores")
    majority: float | None = Field(default=None, description="What the commonest place of the right choice scores")
    bits_per_byte: Interval | None = Field(
        default=None, description="Of the right answers: falls before accuracy rises"
    )
    confidence: float | None = Field(default=None, description="Mean probability of the likeliest choice")
    metrics: dict[str, float] = Field(default_factory=dict, description="Means by all other metrics")
    few_shot: int = Field(default=0, description="Examples before each question")
    cut: int = Field(default=0, description="Items whose prompt lost its beginning, for it did not fit the context")
    contaminated: int | None = Field(
        default=None, description="Items that stand in the training text; null where it was not looked through"
    )
    uninformative: int | None = Field(
        default=None, description="Items that say too little to be told from ordinary text, and were not looked for"
    )
    searched: float | None = Field(default=None, description="Share of the training text that was looked through")
    skipped: dict[str, int] = Field(default_factory=dict, description="Rows of the data that are no items, by reason")

    @property
    def is_above_chance(self) -> bool | None:
        """None where there is no chance to compare with."""
        return None if self.chance is None else self.score.low > self.chance


class GroupScore(Record):
    """Unweighted mean of a group's tasks, as reports of models have it."""

    score: float = Field(description="Mean of the tasks' scores")
    chance: float = Field(description="Mean of what guessing scores")
    tasks: list[str] = Field(description="Its tasks")


class Benchmarks(FileRecord):
    """A model on benchmarks."""

    model: str = Field(description="Name of the model")
    fingerprint: str = Field(default="", description="Of its weights")
    tasks: dict[str, TaskScore] = Field(description="By name")
    groups: dict[str, GroupScore] = Field(default_factory=dict, description="By name; of accuracies alone")
