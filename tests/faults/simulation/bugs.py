"""Bugs planted on purpose, one for each rule that campaigns verify: the real code with one thing broken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from altiplano import storage
from altiplano.records import CheckpointManifest
from altiplano.stages import run as stage_run
from altiplano.training import metrics, skips, supervisor, trainer
from altiplano.training.accounting import goodput
from altiplano.training.checkpoints import checkpoint, loading, saving
from altiplano.training.resilience import heartbeat, spikes
from faults.simulation.campaign import Campaign


@dataclass(frozen=True)
class Bug:
    name: str
    plant: Callable[[Campaign], None]
    kinds: dict[str, int] = field(default_factory=dict)
    """The faults that bring it to light, where most others would not; all kinds when empty."""
    plain: bool = False
    """Whether only goodput, in campaigns without odd faults, can tell."""


def replaced(owner: Any, name: str, value: Any) -> Callable[[Campaign], None]:
    return lambda campaign: setattr(owner, name, value)


def no_fsync(campaign: Campaign) -> None:
    campaign.disk.sync = lambda path: None  # type: ignore[method-assign]


def published_early(campaign: Campaign) -> None:
    """The checkpoint has its name before its bytes are on the disk."""
    digests = saving.Saver._digests

    def without_sync(self: saving.Saver, unfinished: Path) -> dict[str, str]:
        sync, saving.sync = saving.sync, lambda path: None
        try:
            return digests(self, unfinished)
        finally:
            saving.sync = sync

    saving.Saver._digests = without_sync  # type: ignore[method-assign]


def saved_before_it_is_recorded(campaign: Campaign) -> None:
    """A checkpoint can be there before the record of its step."""
    copy = saving.Saver.copy

    def early(self: saving.Saver, *arguments: Any) -> None:
        copy(self, *arguments)
        self.start()
        campaign.world.sleep(400.0)  # until the record is written

    saving.Saver.copy = early  # type: ignore[method-assign]


def error_swallowed(campaign: Campaign) -> None:
    """The thread that saves dies in silence, and training goes on to its end."""
    write = saving.Saver._write

    def silent(self: saving.Saver, *arguments: Any) -> None:
        write(self, *arguments)
        self.broken = self.problem = None
        self.newest = arguments[0]

    saving.Saver._write = silent  # type: ignore[method-assign]


def oldest_is_loaded(campaign: Campaign) -> None:
    listed = checkpoint.saved
    loading.saved = lambda folder: listed(folder)[::-1]


def ranks_are_not_awaited(campaign: Campaign) -> None:
    """As soon as one rank has ended the next start begins."""
    ended = campaign.ranks

    def ranks(size: int, work: Callable[[], int]) -> Any:
        started = ended(size, work)
        real = started.ended

        def forgetful() -> list[tuple[int, int]]:
            found = real()
            if found and found[0][1]:
                started.alive.clear()
            return found

        started.ended = forgetful  # type: ignore[method-assign]
        return started

    campaign.ranks = ranks  # type: ignore[method-assign]


def wall_clock_hangs(campaign: Campaign) -> None:
    """Signs of life are compared with a clock that people set."""
    real = heartbeat.stalled
    begun = campaign.world.wall
    supervisor.stalled = lambda folder, now, of="": real(folder, now + campaign.world.wall - begun, of)


def no_make_room(campaign: Campaign) -> None:
    """A full disk costs the newest checkpoint instead of the oldest."""

    def newest_goes(folder: Path, *_: Any, **__: Any) -> list[Path]:
        there = checkpoint.saved(folder)
        for one in there[:-1]:
            saving.remove(one)
        return there[:-1]

    saving.make_room = newest_goes


def applied_twice(campaign: Campaign) -> None:
    """After a restart the last step is taken again on weights that have it."""
    load = trainer.Trainer.load

    def one_less(self: trainer.Trainer, no_later_than: int | None = None) -> None:
        load(self, no_later_than)
        self.done = max(0, self.done - 1)

    trainer.Trainer.load = one_less  # type: ignore[method-assign]


def skips_alone(campaign: Campaign) -> None:
    real = trainer._on_all_ranks

    def alone(loss: Tensor, norm: Tensor, *flags: bool) -> tuple[float, float, bool, list[bool]]:
        return float(loss), float(norm), bool(loss.isfinite()), real(loss, norm, *flags)[3]

    trainer._on_all_ranks = alone


def drops_sound_ones_aside(campaign: Campaign) -> None:
    """What cannot be read is removed, though it may be sound."""
    real = checkpoint.set_aside

    def removed(path: Path, why: str) -> Path:
        place = real(path, why)
        storage.remove_tree(place)
        return place

    loading.set_aside = removed


def begins_anew(campaign: Campaign) -> None:
    """Without a checkpoint that can be used training begins at step 0, whatever is there."""
    loading._refuse_to_begin_anew = lambda *_: None
    loading.check = lambda *_, **__: checkpoint.Condition("nothing reads back", readable=False)


def no_verification(campaign: Campaign) -> None:
    loading.check = lambda *_, **__: checkpoint.Condition()


def prunes_all(campaign: Campaign) -> None:
    real = saving.prune

    def prune(folder: Path, *arguments: Any) -> dict[Path, str]:
        real(folder, *arguments)
        for one in checkpoint.saved(folder)[:1]:
            saving.remove(one)
        return {}

    saving.prune = prune


def manifest_of_another_step(campaign: Campaign) -> None:
    write = CheckpointManifest.write

    def wrong(self: CheckpointManifest, path: Path) -> None:
        write(self.model_copy(update={"updates": (self.updates or 0) + 1, "step": self.step - 1}), path)

    CheckpointManifest.write = wrong  # type: ignore[method-assign]


def endless_restarts(campaign: Campaign) -> None:
    """What always fails is tried for ever."""
    real = supervisor.newest_step
    count = iter(range(10**9))
    supervisor.newest_step = lambda job: real(job) + next(count)


BUGS = (
    Bug("nothing is synced", no_fsync),
    Bug("published before its bytes are on the disk", published_early),
    Bug("records are not on the disk before a checkpoint", replaced(saving, "sync_records", lambda folder: None)),
    Bug("a checkpoint before the record of its step", saved_before_it_is_recorded, {"kill": 3, "power": 2}),
    Bug("checkpoints are not verified when they are loaded", no_verification, {"rot": 3, "command killed": 4}),
    Bug("pruning removes the newest one", prunes_all),
    Bug("the oldest checkpoint is loaded", oldest_is_loaded),
    Bug("a manifest of another step", manifest_of_another_step),
    Bug("what cannot be read is removed", drops_sound_ones_aside, {"unreadable": 3, "kill": 3}),
    Bug("begins at step 0 when no checkpoint can be used", begins_anew, {"kill": 3}),
    Bug("an error in a save is swallowed", error_swallowed, {"write errors": 3, "kill": 3}),
    Bug("a full disk costs the newest checkpoints", no_make_room, {"full": 3, "kill": 3}),
    Bug("the ranks before are not awaited", ranks_are_not_awaited, {"kill": 3, "hang": 1}),
    Bug("the lock is not taken", replaced(stage_run, "_take", lambda *_: None), {"second command": 3, "kill": 3}),
    Bug("hangs are not noticed", replaced(supervisor, "stalled", lambda *_: []), {"hang": 1}),
    Bug("hangs by the wall clock", wall_clock_hangs, {"clock": 3, "kill": 3}),
    Bug("a fault that always comes back is tried for ever", endless_restarts),
    Bug("skips are not written", replaced(skips.Skips, "write", lambda *_: None)),
    Bug("a rollback leaves no samples out", replaced(trainer.Trainer, "leave_out", lambda *_: None)),
    Bug("spikes are not noticed", replaced(spikes.SpikeDetector, "judge", lambda *_: False)),
    Bug("only the rank whose gradient is no number skips the update", skips_alone),
    Bug("a restart applies a step twice", applied_twice),
    Bug("metrics of lost steps stay", replaced(metrics, "drop_later", lambda *_: set())),
    Bug("lost steps are booked as kept", replaced(goodput, "FORWARD", (*goodput.FORWARD, goodput.LOST)), plain=True),
)
