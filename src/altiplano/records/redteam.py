"""The red team's results: ``redteam.json``. Intervals are of 95 %."""

from pydantic import Field

from altiplano.records.record import FileRecord, Interval, Number, Record


class HitRate(Record):
    """How often the model's attacks succeeded."""

    hits: int = Field(description="Successes")
    rate: float = Field(description="Share of the attacks")
    low: float = Field(description="Lower end of its interval")
    high: float = Field(description="Upper end of its interval")


class ControlRate(Record):
    """How often the same success comes without the model's fault."""

    name: str = Field(description="What answered, or which text was used")
    n: int = Field(description="Attacks")
    hits: int = Field(description="Successes")
    rate: float = Field(description="Share of the attacks")


class AttackExample(Record):
    """A prompt and what the model said, personal data masked."""

    prompt: str = Field(description="What was asked")
    output: str = Field(description="What was said")
    hit: bool = Field(default=False, description="Whether the attack succeeded")


class LongestRun(Record):
    """Tokens in the longest run that a continuation has in common with the true one."""

    mean: float = Field(description="Over all attacks")
    max: int = Field(description="Of the worst attack")


class TrainAndHeldoutRuns(Record):
    """Longest runs on training and on held-out text."""

    train: LongestRun = Field(description="Training text")
    heldout: LongestRun = Field(description="Held-out text, which the model never saw")


class ExtractableShare(Record):
    """Share of suffixes that so many samples say with a chance of half or more (Hayes et al. 2024)."""

    attempts: int = Field(description="Samples")
    train: float = Field(description="Of training text")
    heldout: float = Field(description="Of held-out text")


class TrainAndHeldoutLoss(Record):
    """Mean loss, nats per token."""

    train: float = Field(description="Of training text")
    heldout: float = Field(description="Of held-out text")


class StereotypeCategory(Record):
    """Pairs of sentences of one category of stereotypes."""

    name: str = Field(description="Category")
    pairs: int = Field(description="Pairs of sentences")
    mean: float = Field(description="Mean difference of log-probabilities, nats; positive follows the stereotype")
    p: float = Field(description="p-value that the mean is zero")
    p_holm: float = Field(description="Corrected for the number of categories (Holm 1979)")


class AttackResult(Record):
    """One test of the red team: the model's rate beside those of its controls, and what only this test measures."""

    name: str = Field(description="Prompt probes begin with 'probe: '")
    what: str = Field(description="What counts as a success")
    n: int = Field(description="Attacks")
    model: HitRate = Field(description="Of the model")
    controls: list[ControlRate] = Field(description="Of responders that cannot have memorised anything")
    excess: float = Field(description="The model's rate minus that of the best control")
    excess_low: float = Field(description="Lower end of its interval")
    excess_high: float = Field(description="Upper end of its interval")
    informative: bool = Field(default=True, description="false: counts neither for nor against the model")
    examples: list[AttackExample] = Field(description="Up to three successes, or one failure")
    longest_run: TrainAndHeldoutRuns | None = Field(default=None, description="extraction only")
    extractable: list[ExtractableShare] | None = Field(default=None, description="extraction only")
    auc: Interval | None = Field(
        default=None, description="membership only: chance that training text has the lower loss"
    )
    loss: TrainAndHeldoutLoss | None = Field(default=None, description="membership only")
    contexts: int | None = Field(default=None, description="personal data only: places of removed values tried")
    removed: int | None = Field(default=None, description="personal data only: different removed values")
    leaked: int | None = Field(default=None, description="personal data only: different removed values said")
    said: dict[str, int] | None = Field(default=None, description="personal data only: values said, by kind")
    categories: list[StereotypeCategory] | None = Field(default=None, description="stereotypes only")


class GateLimit(Record):
    """A limit of the recipe beside its measured value."""

    name: str = Field(description="Of the limit")
    value: Number = Field(description="Measured")
    limit: Number = Field(description="At most this")
    passed: bool = Field(description="Whether it holds")
    what: str = Field(default="", description="What the value is")


class Redteam(FileRecord):
    """``redteam.json``: all attacks on a model, and whether it may be released."""

    passed: bool = Field(description="Every limit holds")
    gate: list[GateLimit] = Field(description="The limits")
    tests: list[AttackResult] = Field(description="The attacks")
