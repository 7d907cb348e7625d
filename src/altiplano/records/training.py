"""What training writes: metrics, held-out scores, the ledger, incidents, what it skips, and ``run.json``."""

import math
from typing import ClassVar

from pydantic import ConfigDict, Field

from altiplano.records.benchmarks import TaskScore
from altiplano.records.record import FileRecord, ListRecord, Measured, Record


class StepMetrics(Record):
    """One optimizer step (``metrics.jsonl``). What a program's own callbacks add to it is kept."""

    model_config = ConfigDict(frozen=False, extra="allow")

    step: int = Field(description="Steps taken, this one included")
    tokens: int = Field(description="Tokens read so far")
    loss: Measured = Field(description="Mean of the step in nats per token; null when it is no number")
    gradient_norm: Measured = Field(description="Of all parameters together, before clipping")
    learning_rate: float = Field(description="Of this step")
    skipped: bool = Field(default=False, description="The step's update was left out")
    seconds: float = Field(default=0.0, description="Wall-clock of the step, waiting for data included")
    data_seconds: float = Field(default=0.0, description="Of these, waiting for data")
    tokens_per_second: Measured = Field(default_factory=lambda: math.nan, description="Of all devices together")
    mfu: Measured = Field(
        default_factory=lambda: math.nan, description="Model FLOPs utilisation: share of the peak of all devices"
    )
    memory_bytes: int = Field(default=0, description="Peak of the first process: allocated on a GPU, resident on a CPU")
    reserved_bytes: int = Field(
        default=0, description="Peak that PyTorch of the first process held of its GPU, used or not; 0 on a CPU"
    )
    allocation_retries: int = Field(
        default=0, description="How often it gave memory back to get more so far: steps that do wait for it"
    )
    spike: bool = Field(default=False, description="Loss or gradient norm was far above what the run showed lately")
    spent: dict[str, float] = Field(
        default_factory=dict, description="Seconds per bucket of the ledger since the step before"
    )


class TextScores(Record):
    """How well a text is predicted."""

    nll: Measured = Field(description="Negative log-likelihood of all predicted tokens together, nats")
    tokens: int = Field(description="Predicted tokens")
    bytes: int = Field(description="UTF-8 bytes of the text")
    perplexity: Measured = Field(description="Per token")
    bits_per_byte: Measured = Field(description="Per UTF-8 byte: comparable between tokenizers")


class HeldoutScores(Record):
    """Held-out text scored during training (``heldout.jsonl``)."""

    step: int = Field(description="Steps taken before")
    tokens: int = Field(description="Tokens read before")
    groups: dict[str, TextScores] = Field(description="By domain.language")
    total: TextScores = Field(description="Of all held-out text")
    benchmarks: dict[str, TaskScore] = Field(default_factory=dict, description="Evaluation benchmarks, by task")


class LedgerEvent(Record):
    """One line of ``ledger.jsonl``: something that began, ended or took time."""

    event: str = Field(description="start, resume, step, rollback, published, fault or end")
    time: float = Field(description="Seconds since 1970")
    step: int = Field(default=0, description="Step that was reached, or that the run went back to")
    seconds: dict[str, float] = Field(default_factory=dict, description="Booked since the last line, by bucket")
    written: float = Field(default=0.0, description="published: seconds from the copy until the checkpoint counted")
    what: str | None = Field(default=None, description="fault: its kind")
    layout: str = Field(default="", description="start: how the ranks share the work")
    world_size: int | None = Field(default=None, description="start: ranks")
    attempt: int = Field(default=0, description="start: how often ranks were started before, by the same command")


class Incident(Record):
    """Something that went wrong, and what was done about it (``incidents.jsonl``)."""

    time: float = Field(description="Seconds since 1970")
    kind: str = Field(description="Such as SIGKILL, hang, exception, spike, not finite, slow")
    what: str = Field(description="In words")
    action: str = Field(description="What was done")
    rank: int | None = Field(default=None, description="Rank that it began with")
    step: int | None = Field(default=None, description="Step at which it was seen")
    samples: tuple[int, int] | None = Field(default=None, description="First sample left out, and first one after")
    faults_in_a_row: int | None = Field(default=None, description="Faults without progress between them")
    traceback: str | None = Field(default=None, description="Of the rank that failed")


class SkippedWork(FileRecord):
    """``skips.json``: what training leaves out. It is part of what determines the weights."""

    CHECKED: ClassVar[bool] = True

    updates: list[int] = Field(description="Steps, from 0, whose update is left out")
    samples: list[tuple[int, int]] = Field(description="Ranges [first, last) of the order of samples left out")


class FaultFormula(Record):
    """A run with faults beside the planner's formula, given what its faults and saves took. Seconds."""

    faults: int = Field(description="Faults of the run")
    failure_seconds: float = Field(description="Mean time between faults")
    interval_seconds: float = Field(description="Work between checkpoints")
    save_seconds: float = Field(description="Training waits so long for a save")
    write_seconds: float = Field(description="From the copy until a checkpoint counts")
    restart_seconds: float = Field(description="From a fault until training goes on")
    forward: float = Field(description="Measured share of the time that was productive")
    expected: float = Field(description="Share that the formula expects")


class Goodput(Record):
    """Where the wall-clock of training went, over all sessions."""

    seconds: dict[str, float] = Field(
        description="Per bucket: init, data, compute, save, validation, lost (steps done again), restart"
    )
    booked: float = Field(description="Their sum, seconds")
    wall: float = Field(description="From first to last event without time between sessions, seconds")
    share: float | None = Field(description="Share spent computing steps that were kept")
    forward: float | None = Field(
        description="Share that was productive, held-out scores with it, the first start left out"
    )
    formula: FaultFormula | None = Field(default=None, description="null without faults or with too few checkpoints")


class TrainingSession(Record):
    """From one start of training to its end or fault. Times are ISO 8601, UTC."""

    started: str = Field(description="When")
    layout: str = Field(default="", description="How the ranks shared the work")
    seconds: float = Field(description="Wall-clock")
    how: str = Field(default="killed", description="ended, killed, or the kind of fault")
    ended: str = Field(default="", description="Last sign of life")
    first_step: int | None = Field(default=None, description="Steps that were taken before")
    last_step: int | None = Field(default=None, description="Steps taken at its end")


class TrainingSummary(FileRecord):
    """``run.json``: what was trained on what for how long, over all sessions."""

    finished: bool = Field(default=True, description="The recipe's last step was taken")
    parameters: int = Field(description="Of the model, embeddings included")
    tokens: int = Field(description="Tokens read")
    steps: int = Field(description="Optimizer steps taken")
    world_size: int = Field(description="Ranks")
    layout: str = Field(description="How they share the work")
    device: str = Field(description="cpu or cuda")
    device_name: str = Field(default="", description="What people call the device")
    devices: int | None = Field(default=None, description="Devices; ranks on a CPU share one")
    seconds: float = Field(description="Wall-clock of all sessions")
    restarts: int = Field(description="Sessions after the first")
    goodput: Goodput | None = Field(default=None, description="Where the time went")
    memory_bytes: list[int] = Field(
        default_factory=list,
        description="Per pipeline rank, peak of its fullest process: allocated on a GPU, resident on a CPU",
    )
    incidents: list[Incident] = Field(default_factory=list, description="What went wrong")
    products: str | None = Field(default=None, description="How a processor multiplied bfloat16 matrices")
    matmul_peak_flops: float = Field(default=0.0, description="Peak of one device, FLOP/s: the divisor of MFU")
    matmul_measured_flops: float | None = Field(default=None, description="What was measured of it, FLOP/s")
    matmul_peak_source: str = Field(default="measured", description="measured, or datasheet (of a GPU)")
    busy: bool = Field(default=False, description="Others used the machine when the peak was measured")
    flops_per_token: float | None = Field(default=None, description="FLOPs of forward and backward pass")
    tokens_per_second: float | None = Field(default=None, description="Median of all steps")
    mfu: float | None = Field(default=None, description="Model FLOPs utilisation of the median step")
    torch: str | None = Field(default=None, description="Version")
    python: str | None = Field(default=None, description="Version")
    sessions: list[TrainingSession] = Field(default_factory=list, description="In order")


class SourceShare(Record):
    """A source of training text before and after the mixture."""

    name: str = Field(description="domain.language")
    tokens: int = Field(description="Tokens there are, in whole sequences")
    before: float = Field(description="Share of all tokens")
    after: float = Field(description="Share of the samples that are read")
    epochs: float = Field(description="How often it is read")


class MixtureShares(ListRecord[SourceShare]):
    """``mixture.json``: what training reads of each source, the most read first."""


class CheckpointManifest(FileRecord):
    """``manifest.json`` of a checkpoint: all of the run's state that is not a tensor, and a digest of each file."""

    CHECKED: ClassVar[bool] = True

    step: int = Field(description="Steps taken")
    tier: str = Field(default="permanent", description="permanent, or rolling (soon replaced)")
    samples: int | None = Field(default=None, description="Place in the order of samples that comes next")
    tokens: int | None = Field(default=None, description="Tokens read")
    updates: int | None = Field(default=None, description="Steps that changed the weights; null: all of them")
    spikes: int | None = Field(default=None, description="Spikes in a row that end with this step; null: not known")
    layout: str | None = Field(default=None, description="Of the ranks that saved it; any other can load it")
    data: str | None = Field(default=None, description="Fingerprint of the order of samples")
    files: dict[str, str] = Field(default_factory=dict, description="sha256 of each file by its name")
