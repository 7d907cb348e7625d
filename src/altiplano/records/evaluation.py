"""What is measured of a trained model: ``perplexity.json`` and ``calibration.json``.

Intervals are of 95 %.
"""

from pydantic import Field

from altiplano.records.record import FileRecord, Interval, Record
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
