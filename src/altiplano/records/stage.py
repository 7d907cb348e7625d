"""``manifest.json`` of a published stage folder: what it was made from, what is in it, what it took."""

from typing import Any, ClassVar

from pydantic import Field

from altiplano.records.record import FileRecord, Record


def work_folders(stage: str) -> str:
    """Pattern of the names of a stage's work folders, and of no other's: ``train-anneal`` is a stage, too."""
    return f"{stage}-{'[0-9a-f]' * 12}"


class StageMeasurements(Record):
    """What computing a stage took."""

    started: str = Field(default="", description="ISO 8601, UTC; of the last session")
    ended: str = Field(default="", description="ISO 8601, UTC")
    wall_seconds: float | None = Field(default=None, description="Of the last session")
    peak_memory_bytes: int | None = Field(default=None, description="Peak resident bytes of the largest process")
    machine: str = Field(default="", description="System, architecture and cores")


class StageManifest(FileRecord):
    """The manifest of a stage's folder. ``version`` is Altiplano's, ``format_version`` this file's."""

    CHECKED: ClassVar[bool] = True

    stage: str = Field(description="Name of the stage")
    version: str = Field(description="Of the Altiplano that computed it")
    recipe: dict[str, Any] = Field(description="Values of the recipe keys that determine the result")
    inputs: dict[str, str] = Field(description="Hash of each earlier stage's manifest, and of sources outside the run")
    outputs: dict[str, str] = Field(description="sha256 of each file that the inputs determine")
    counts: dict[str, Any] = Field(description="The stage's own counts")
    samples: dict[str, str] = Field(
        default_factory=dict,
        description="Of each file in outputs, sha256 of its size and of blocks of it; read whenever it is used",
    )
    passed: bool = Field(default=True, description="Whether the stage's gate passed")
    hash: str = Field(description="sha256 of all of the above")
    fingerprint: str = Field(default="", description="sha256 of stage, version, recipe and inputs")
    records: dict[str, str] = Field(default_factory=dict, description="sha256 of each file of measured values")
    measured: StageMeasurements = Field(default=StageMeasurements(), description="What it took")
