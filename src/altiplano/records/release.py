"""What a release says of its run, what its evidence is, and what was found out after it: its JSON files."""

from typing import Any, Literal

from pydantic import Field

from altiplano.records.record import FileRecord, ListRecord, Record


class PlannedRun(Record):
    """What the planner expects of a run on the layout it had."""

    tokens_per_second: float = Field(description="Of all devices together")
    memory_bytes: float = Field(description="Of the fullest device")
    forward: float = Field(description="Share of the productive time, with failures as the cluster has them")


class Grid(Record):
    """Mean carbon intensity of a country's electricity, location-based."""

    country: str = Field(description="ISO 3166-1 alpha-3, or WORLD for the mean")
    name: str = Field(description="Of the country")
    grams_per_kwh: float = Field(description="CO2")
    year: int = Field(description="Of the figure")
    source: str = Field(description="Of the figure")


class PhaseFacts(Record):
    """One of several trainings of a run."""

    name: str = Field(description="main, or of the phase")
    tokens: int = Field(description="That it read")
    steps: int = Field(description="That it took")
    sequence_length: int = Field(description="Tokens")


class RunFacts(FileRecord):
    """``facts.json``: what fills the card, the report and the energy statement. null or empty: not known.

    Everything is measured by the stages or given by the cluster file; what the document states is in ``stated``.
    """

    name: str = Field(description="Of the run")
    title: str = Field(default="", description="disclosure.title of the recipe")
    pretrained: str = Field(
        default="", description="Folder of the model that training began with; empty: random weights"
    )
    license: str = Field(default="", description="disclosure.license of the recipe")
    parameters: int | None = Field(default=None, description="Of the model, embeddings included")
    tokens: int | None = Field(default=None, description="Training tokens")
    steps: int | None = Field(default=None, description="Optimizer steps")
    phases: list[PhaseFacts] = Field(default_factory=list, description="Where there are several trainings: each")
    averaged_steps: list[int] = Field(
        default_factory=list, description="Of the last training, whose checkpoints' mean the weights are; empty: one's"
    )
    device: str = Field(default="", description="cpu or cuda")
    device_name: str = Field(default="", description="What people call the device")
    devices: int | None = Field(default=None, description="Devices that trained")
    ranks: int | None = Field(default=None, description="Processes that trained")
    layout: str = Field(default="", description="How they shared the work")
    restarts: int | None = Field(default=None, description="Sessions after the first")
    mfu: float | None = Field(default=None, description="Model FLOPs utilisation, share")
    flops_per_token: float | None = Field(default=None, description="FLOPs of forward and backward pass")
    tokens_per_second: float | None = Field(default=None, description="Of an ordinary step: the median")
    peak_flops_per_device: float | None = Field(default=None, description="FLOP/s, the divisor of MFU")
    peak_source: str = Field(default="measured", description="measured, or datasheet (of a GPU)")
    peak_measured: float | None = Field(default=None, description="FLOP/s that were measured")
    busy: bool = Field(default=False, description="Others used the machine when its peak was measured")
    products: str = Field(default="", description="How a processor multiplied bfloat16 matrices")
    training_started: str = Field(default="", description="ISO 8601, UTC")
    training_ended: str = Field(default="", description="ISO 8601, UTC")
    training_seconds: float | None = Field(default=None, description="Of all sessions")
    started: str = Field(default="", description="Of the first stage, ISO 8601, UTC")
    ended: str = Field(default="", description="Of the last stage, ISO 8601, UTC")
    year: int | None = Field(default=None, description="In which it ended")
    stage_seconds: dict[str, float] = Field(default_factory=dict, description="Wall-clock per stage")
    stage_peak_bytes: dict[str, int] = Field(default_factory=dict, description="Peak memory per stage")
    device_hours: float | None = Field(default=None, description="Of training: devices × time")
    run_device_hours: float | None = Field(
        default=None, description="Of training on its devices and every other stage on one"
    )
    watts_per_device: float | None = Field(default=None, description="At the meter of the node, from the cluster file")
    pue: float | None = Field(default=None, description="Power usage effectiveness, from the cluster file")
    country: str = Field(default="", description="ISO 3166-1 alpha-3")
    country_is_stated: bool = Field(
        default=False, description="The cluster file names no country, this one is the document's statement"
    )
    planned: PlannedRun | None = Field(default=None, description="null: no plan, as the cluster does not say its chip")
    memory_bytes: int | None = Field(
        default=None, description="Of the fullest process of training: allocated on a GPU, resident on a CPU"
    )
    forward: float | None = Field(
        default=None, description="Share of training's wall-clock that was productive, but for the first start"
    )
    forward_expected: float | None = Field(
        default=None, description="Of faults, saves and restarts as they came, by the planner's formula"
    )
    grid: Grid | None = Field(default=None, description="Where the electricity came from")
    energy_kwh: float | None = Field(default=None, description="Of training, at the meter")
    run_energy_kwh: float | None = Field(default=None, description="Of the whole run, at the meter")
    co2_kg: float | None = Field(default=None, description="Of training")
    run_co2_kg: float | None = Field(default=None, description="Of the whole run")
    versions: dict[str, str] = Field(default_factory=dict, description="Of altiplano, torch and python")
    code: str = Field(default="", description="git revision, or Altiplano's version")
    recipe_hash: str = Field(default="", description="sha256 of the recipe's values")
    forgotten: int = Field(default=0, description="Training documents that the recipe's `forget` leaves out")
    stated: dict[str, Any] = Field(default_factory=dict, description="The recipe's disclosure")


class Generation(Record):
    """A held-out opening, continued by the released model."""

    group: str = Field(default="", description="domain.language")
    prompt: str = Field(description="The opening")
    text: str = Field(description="What the model said")
    temperature: float = Field(description="It was sampled at")


class Samples(ListRecord[Generation]):
    """``samples.json``: what the released model says."""


class Export(FileRecord):
    """``export.json``: the released weights beside the trained ones. null: not measured."""

    trained_dtype: str = Field(description="Element type of the trained weights")
    dtype: str = Field(description="Element type of the released weights, rounded to nearest, ties to even")
    trained: dict[str, str] = Field(description="sha256 of each file of trained weights")
    released: dict[str, str] = Field(description="sha256 of each file of released weights")
    tokens: int | None = Field(default=None, description="Held-out tokens on which both were compared")
    trained_loss: float | None = Field(default=None, description="Of the trained weights on them, nats per token")
    released_loss: float | None = Field(default=None, description="Of the released weights on them, nats per token")
    largest_logit_difference: float | None = Field(default=None, description="Between the two, over those tokens")


class EvidenceFile(Record):
    """One file under ``evidence/``."""

    path: str = Field(description="In evidence/")
    source: str = Field(default="", description="In the run's folder; empty: written by the release")
    sha256: str = Field(description="Of the file here")
    removed: str = Field(default="", description="What was taken out; empty: nothing, it is the run's own file")


class LeftOut(Record):
    """Files of the run that are no part of the release."""

    path: str = Field(description="File or folder in the run's folder")
    why: str = Field(description="Why")


class EvidenceIndex(FileRecord):
    """``evidence/index.json``: what the release's figures are computed from, and what was left out."""

    files: list[EvidenceFile] = Field(description="By path")
    left_out: list[LeftOut] = Field(default_factory=list, description="By path")


class Notice(Record):
    """Something found out after the release."""

    kind: Literal["withdrawn", "erratum"] = Field(description="What it means for the release")
    date: str = Field(description="ISO 8601")
    text: str = Field(description="For readers of the card")


class Notices(ListRecord[Notice]):
    """``notices.json``: errata and withdrawal, the newest last."""
