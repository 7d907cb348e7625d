"""What is measured of a trained model: ``perplexity.json``, ``calibration.json``, ``redteam.json``.

Intervals are of 95 %.
"""

from pydantic import Field

from altiplano.records.record import FileRecord, Interval, Number, Record
from altiplano.records.training import TextScores


class GroupScores(TextScores):
    """Held-out documents of one domain and language, with a bootstrap interval over documents."""

    documents: int = Field(description="Documents that were scored")
    bits_per_byte_low: float = Field(description="Lower end of the interval")
    bits_per_byte_high: float = Field(description="Upper end of the interval")


class TrainGap(Record):
    """Bits per byte of held-out minus training text: how far a model has memorised its training text."""

    train: float = Field(description="Bits per byte of training text")
    heldout: float = Field(description="Bits per byte of held-out text")
    gap: float = Field(description="Their difference")
    low: float = Field(description="Lower end of the difference's interval")
    high: float = Field(description="Upper end of the difference's interval")


class Evaluation(FileRecord):
    """``perplexity.json``: a trained model on held-out text."""

    groups: dict[str, GroupScores] = Field(description="By domain.language")
    total: GroupScores = Field(description="Of all held-out text")
    train_gap: dict[str, TrainGap] = Field(description="By domain")


class SampleSize(Record):
    """How much text a half of the held-out documents has."""

    documents: int = Field(description="Documents")
    tokens: int = Field(description="Predicted tokens")


class ReliabilityBin(Record):
    """Tokens whose top probability is in [low, high)."""

    low: float = Field(description="Lower end")
    high: float = Field(description="Upper end")
    count: int = Field(description="Tokens")
    confidence: float = Field(description="Mean of the top probability")
    accuracy: float = Field(description="How often the likeliest token was right")


class ReliabilityCurve(Record):
    """How far stated probabilities can be trusted at one temperature."""

    nll: float = Field(description="Nats per token")
    ece: float = Field(description="Expected calibration error over bins of equal width")
    adaptive_ece: float = Field(description="The same over bins of equal count")
    brier: float = Field(description="Brier score, 0 to 2")
    accuracy: float = Field(description="How often the likeliest token was right")
    confidence: float = Field(description="Mean of the top probability")
    bins: list[ReliabilityBin] = Field(description="The reliability diagram, empty bins with zeros")


class GroupCalibration(Record):
    """The one temperature's effect on a domain and language of the test half."""

    tokens: int = Field(description="Predicted tokens")
    nll_before: float = Field(description="Nats per token at temperature 1")
    nll_after: float = Field(description="Nats per token at the fitted temperature")
    ece_before: float = Field(description="Expected calibration error at temperature 1")
    ece_after: float = Field(description="Expected calibration error at the fitted temperature")


class DomainTemperature(Record):
    """For information: the temperature that a domain alone would have."""

    temperature: float = Field(description="Fitted on the domain's documents")


class AnswerTemperature(Record):
    """Probabilities of an item's choices are softmax(score / value): for questions, never for sampling tokens."""

    value: float = Field(description="Normalised log-likelihoods are divided by it")
    low: float = Field(description="Lower end of its interval over clusters of the fitted tasks")
    high: float = Field(description="Upper end of that interval")
    at_bound: bool = Field(description="The fit went to its bound: the choices' scores say nothing, or all")
    normalisation: str = Field(description="sum, per_token, per_character, per_byte or unconditional")
    tasks: list[str] = Field(description="Benchmarks it was fitted on")
    items: int = Field(description="Their items")
    clusters: int = Field(description="Independent ones")


class Calibration(FileRecord):
    """``calibration.json``: one temperature fitted on half of the held-out documents, judged on the other."""

    temperature: float = Field(description="Logits are divided by it when tokens are sampled")
    temperature_low: float = Field(description="Lower end of its interval over documents")
    temperature_high: float = Field(description="Upper end of its interval over documents")
    fit: SampleSize = Field(description="The half it was fitted on")
    test: SampleSize = Field(description="The half it was judged on")
    before: ReliabilityCurve = Field(description="At temperature 1")
    after: ReliabilityCurve = Field(description="At the fitted temperature")
    nll_gain: Interval | None = Field(default=None, description="Nats per token that the temperature saves")
    greedy_unchanged: bool = Field(description="The likeliest token is the same everywhere")
    groups: dict[str, GroupCalibration] = Field(default_factory=dict, description="By domain.language")
    domains: dict[str, DomainTemperature] = Field(default_factory=dict, description="By domain")
    answer_temperature: AnswerTemperature | None = Field(
        default=None, description="Of choices, where the run has at least two benchmarks that offer some"
    )


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
