"""The red team's results: ``redteam.json``. Intervals are of 95 %."""

from typing import Literal

from pydantic import Field

from altiplano.records.power import PrintedPower
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


class LabelledShare(Record):
    """Share of labelled texts that a detector judged as people did."""

    right: int = Field(description="Judged as labelled")
    n: int = Field(description="Texts")
    value: float = Field(description="Share")
    low: float = Field(description="Lower end of its interval (Wilson)")
    high: float = Field(description="Upper end of its interval")


class DetectorError(Record):
    """How often a detector is wrong."""

    name: str = Field(description="Detector")
    what: str = Field(description="What it looks for")
    source: str = Field(description="Who labelled what")
    sensitivity: LabelledShare = Field(description="Of harmful texts")
    specificity: LabelledShare = Field(description="Of harmless texts")
    has_power: bool = Field(description="false: sensitivity + specificity is 1.2 or less, and its probes are dropped")


class ModeRate(Record):
    """The same prompts asked in another way, or in one language."""

    name: str = Field(description="Mode or language")
    n: int = Field(description="Attacks")
    hits: int = Field(description="Successes")
    rate: float = Field(description="Share of the attacks")
    low: float = Field(description="Lower end of its interval")
    high: float = Field(description="Upper end of its interval")


class MembershipScore(Record):
    """How well one score tells training text from held-out text."""

    name: str = Field(description="loss, min-k%, min-k%++ or reference")
    auc: Interval = Field(description="Chance that training text has the higher score; clustered by document")
    hits: float = Field(description="Share of training text above all but 1 % of held-out text")
    hits_low: float = Field(description="Lower end of its interval, clustered by document")
    hits_high: float = Field(description="Upper end")


class RepetitionGroup(Record):
    """Training text of one kind: how much of it the model says, and how likely it finds it."""

    name: str = Field(description="Domain and language, or how often the text stands in the training text")
    n: int = Field(description="Windows")
    documents: int = Field(description="Different documents")
    verbatim: float = Field(description="Share said verbatim by greedy continuation")
    verbatim_low: float = Field(description="Lower end of its interval, clustered by document")
    verbatim_high: float = Field(description="Upper end")
    near: float = Field(description="Share of which four fifths are said in one run or in their places")
    extractable: float = Field(description="Share that 100 samples say with a chance of half or more")


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
    scores: list[MembershipScore] | None = Field(default=None, description="membership only: by score")
    by_repetition: list[RepetitionGroup] | None = Field(default=None, description="extraction only: by copies")
    by_domain: list[RepetitionGroup] | None = Field(default=None, description="extraction only: by domain, language")
    contexts: int | None = Field(default=None, description="personal data only: places of removed values tried")
    removed: int | None = Field(default=None, description="personal data only: different removed values")
    leaked: int | None = Field(default=None, description="personal data only: different removed values said")
    said: dict[str, int] | None = Field(default=None, description="personal data only: values said, by kind")
    categories: list[StereotypeCategory] | None = Field(default=None, description="stereotypes only")
    hazard: str = Field(default="", description="Hazard that a probe is of")
    detector: str = Field(default="", description="Detector of a probe")
    judged: Interval | None = Field(
        default=None,
        description="What the gate judges: the rate less the detector's errors; of pairs and tokens beyond a control",
    )
    reviewed: LabelledShare | None = Field(default=None, description="Hits that people labelled, and confirmed")
    languages: list[ModeRate] = Field(default=[], description="Plain prompts by language")
    modes: list[ModeRate] = Field(default=[], description="Other ways to attack, each with its own rate")
    p: float | None = Field(default=None, description="tests for defects only: p-value of a model without the defect")
    detected: bool | None = Field(default=None, description="tests for defects only: p-value at the level or below")
    note: str | None = Field(default=None, description="tests for defects only: what was found, personal data masked")
    power: PrintedPower | None = Field(
        default=None, description="How often this test finds its defect in small trainings; absent: not measured"
    )


Verdict = Literal["passed", "failed", "not shown", "waived"]


class Waiver(Record):
    """A failed or missing line of the gate that somebody answers for."""

    who: str = Field(description="Who answers for it")
    why: str = Field(description="Reason")
    until: str = Field(description="Last day that it counts, YYYY-MM-DD")


class GateLimit(Record):
    """A limit of the recipe beside its measured value."""

    name: str = Field(description="Of the limit, or the hazard")
    value: Number = Field(description="Measured; of a hazard the upper end of the worst probe's interval")
    limit: Number = Field(description="At most this")
    passed: bool = Field(description="Whether it lets the model through: it holds, is waived, or need not be shown")
    what: str = Field(default="", description="What the value is")
    verdict: Verdict | None = Field(default=None, description="not shown: too few trials, or a detector without power")
    waiver: Waiver | None = Field(default=None, description="Where one was given, even when it has run out")


class HazardCoverage(Record):
    """What was asked about one hazard, and the names that others have for it."""

    name: str = Field(description="Hazard")
    what: str = Field(description="What it is")
    probes: list[str] = Field(description="Its tests")
    trials: int = Field(description="Plain prompts asked")
    informative: int = Field(description="Those of tests that say something about the model")
    languages: list[str] = Field(default=[], description="Asked in these")
    ailuminate: str = Field(default="", description="Category of MLCommons AILuminate 1.0")
    nist: str = Field(default="", description="Risk of NIST AI 600-1")
    owasp: str = Field(default="", description="Of OWASP's Top 10 for LLM applications 2026")
    gpai: str = Field(default="", description="Of the GPAI Code of Practice")


class NotTested(Record):
    """What the red team did not do, or could not."""

    name: str = Field(description="Test, probe or hazard")
    why: str = Field(description="Reason")


class Redteam(FileRecord):
    """``redteam.json``: all attacks on a model, and whether it may be released."""

    passed: bool = Field(description="Every limit holds, is waived, or need not be shown")
    gate: list[GateLimit] = Field(description="The limits")
    tests: list[AttackResult] = Field(description="The attacks")
    model: str = Field(default="", description="Name of the model")
    fingerprint: str = Field(default="", description="Hash of its weights")
    hazards: list[HazardCoverage] = Field(default=[], description="Coverage by hazard")
    detectors: list[DetectorError] = Field(
        default=[], description="Detectors that can be wrong, and how often they are"
    )
    not_tested: list[NotTested] = Field(default=[], description="Tests that were left out, dropped or broken")
    planned: int = Field(default=0, description="Prompts in the plan")
    asked: int = Field(default=0, description="Prompts asked within the budget")
    cut: int = Field(default=0, description="Prompts that lost their beginning, for they did not fit the context")
