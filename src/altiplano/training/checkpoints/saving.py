"""Saving checkpoints beside training: copy the state, then write, check, publish and prune in a thread of its own.

Training waits only for the copy. The threads speak over the job's store (``parallel/meeting.py``), so that their
messages never mix with those of a training step. A checkpoint appears by rename after all its bytes are on the disk:
whenever the power goes, there is either the whole of it or nothing under its name. What was measured up to its step is
on the disk before: a run that goes on from it does not measure that again.

What a rank does by itself it does inside ``_together``, which tells all ranks of its failure, whatever it was: no rank
waits for one that has given up. A rank that fails while it speaks to the others cannot tell them; its training loop
raises the error, and all start again.
"""

import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor

from altiplano.errors import Fault, InputError
from altiplano.parallel.meeting import Meeting
from altiplano.recipe.schema import CheckpointConfig
from altiplano.records import CheckpointManifest, StepMetrics
from altiplano.storage import Damaged, digest, listed, remove_tree, sync
from altiplano.training.callbacks import Callback, TrainingRun
from altiplano.training.checkpoints.checkpoint import (
    MANIFEST,
    REPLACED,
    of_step,
    read_manifest,
    saved,
    set_aside,
    step_of,
)
from altiplano.training.checkpoints.reader import INDEX
from altiplano.training.checkpoints.staging import HostCopies
from altiplano.training.checkpoints.writing import as_text, index_of, write_tensors

PERMANENT, ROLLING = "permanent", "rolling"
LOOK_SECONDS = 1.0


class NotSaved(Exception):
    """A rank could not do its part of a save; raised on all of them."""


class Saver:
    """Writes ``folder/step-NNNNNNNN`` on all processes together, one checkpoint at a time."""

    def __init__(
        self,
        folder: Path,
        tensors: dict[str, Tensor],
        settings: CheckpointConfig,
        loaded: int = 0,
        published: Callable[[int, float], None] = lambda step, seconds: None,
        progress: Callable[[], None] = lambda: None,
        averaged: Collection[int] = (),
        records: Path | None = None,
    ):
        """``loaded`` is the step that training goes on from. ``published`` is told, on the first process, the step of a
        checkpoint that counts and the seconds it took; ``progress`` that a save one waits for gets on. Checkpoints of
        the steps ``averaged`` stay. What was recorded in ``records`` is on the disk before a checkpoint is
        published."""
        self.records = records
        self.averaged = averaged
        self.folder, self.copies, self.settings = folder, HostCopies(tensors), settings
        self.published, self.progress = published, progress
        self.rank = dist.get_rank()
        self.meeting = Meeting()
        self.said, self.told, self.index = "", list[str](), b""
        """Where this rank's tensors lay at the save before; on the first rank everybody's, and the index of them."""
        self.copied: tuple[int, dict[str, Tensor], CheckpointManifest] | None = None
        self.thread: threading.Thread | None = None
        self.problem: Exception | None = None
        self.failed = 0
        self.broken: BaseException | None = None
        self.phase: tuple[str, int] = ("", 0)
        self.unfinished = folder
        self.warned: set[Path] = set()
        self.go_on_from(loaded)
        if self.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)

    def go_on_from(self, step: int) -> None:
        """Training stands at the checkpoint of ``step``, whose bytes were verified; 0: at its beginning."""
        self.newest = step
        self.verified = {step}

    def copy(self, step: int, facts: dict[str, Any], tier: str) -> None:
        """Copy the state, for ``start`` to write; waits for the checkpoint before this one. Raises what hindered it,
        when that was one of too many in a row."""
        problem = self.finish()
        self.failed = self.failed + 1 if problem is not None else 0
        if problem is not None and self.failed >= self.settings.max_failed_saves:
            raise problem
        manifest = CheckpointManifest(step=step, tier=tier, **facts)
        self.copied = step, self.copies.take(), manifest

    def start(self) -> None:
        """Write the copy, if there is a new one, in the background."""
        if self.copied is not None:
            self.thread = threading.Thread(target=self._write, args=self.copied, name="checkpoint")
            self.copied = None
            self.thread.start()

    def finish(self) -> Exception | None:
        """Wait until the checkpoint being written is there; why it is not, if it could not be. Raises as ``check``."""
        if self.thread is not None:
            seen = None
            while self.thread.is_alive():
                self.thread.join(LOOK_SECONDS)
                if (now := (self.phase, self._bytes())) != seen:
                    seen = now
                    self.progress()
            self.thread = None
        self.check()
        problem, self.problem = self.problem, None
        return problem

    def check(self) -> None:
        """Raise what ended this rank's thread, if anything did: the others may be waiting for it."""
        if self.broken is not None:
            raise self.broken

    def _bytes(self) -> int:
        with suppress(OSError):
            return sum(entry.stat().st_size for entry in os.scandir(self.unfinished))
        return 0

    def _write(self, step: int, copies: dict[str, Tensor], manifest: CheckpointManifest) -> None:
        """When it cannot be written, the earlier checkpoints stay and a warning is printed."""
        begun = time.monotonic()
        try:
            size = sum(tensor.nbytes for tensor in copies.values())
            reason = self._save(step, copies, manifest)
            if reason and self._made_room(reason, size):
                reason = self._save(step, copies, manifest)
            if reason:
                self.problem = self._explain(step, reason, size)
                return
            self.newest = step
            self.verified.add(step)
        except BaseException as error:
            self.broken = error
            return
        if self.rank == 0:
            try:  # nothing of this is worth the checkpoint that is there, nor the other ranks' time
                self.published(step, time.monotonic() - begun)
                self._warn(prune(self.folder, of_step(self.folder, step), self.settings, self.verified, self.averaged))
            except Exception as error:
                print(f"warning: earlier checkpoints were not removed: {_first_line(error)}", file=sys.stderr)

    def _save(self, step: int, copies: dict[str, Tensor], manifest: CheckpointManifest) -> str:
        """Why it could not be saved, the same on all ranks; empty when it was."""
        final = of_step(self.folder, step)
        self.unfinished = unfinished = final.with_name(f".{final.name}")
        try:
            self._together(lambda: self._clear(unfinished))
            self._write_tensors(copies, unfinished)
            parts = self._together(lambda: self._digests(unfinished))
            digests = {name: value for part in parts for name, value in part.items()}
            self._together(lambda: self._publish(unfinished, final, manifest.model_copy(update={"files": digests})))
        except NotSaved as error:  # of any rank, raised on all of them
            with suppress(OSError):  # the next save of this step removes it, or says why it cannot
                self._clear(unfinished)
            return _first_line(error)
        return ""

    def _made_room(self, reason: str, size: int) -> bool:
        """Whether older checkpoints were removed as the disk is full; the same on all ranks. ``size``: of this rank's
        part."""
        try:
            needed = sum(self._together(lambda: size))  # on the first rank, which alone removes any
            gone = self._together(
                lambda: (
                    self.rank == 0
                    and make_room(
                        self.folder, needed, self.settings, self.verified, self.averaged, told=is_full(reason)
                    )
                )
            )
            self.meeting.gather(None)
            return bool(self.meeting.tell(any(gone)))
        except NotSaved:
            return False

    def _together(self, work: Callable[[], Any]) -> list[Any]:
        """What ``work`` returns on each rank, for the first one; [] for the others. Raises NotSaved on all of them when
        it raises anything on any."""
        result, problem = None, ""
        try:
            result = work()
        except BaseException as error:
            problem = f"{type(error).__name__}: {_first_line(error)}"
        parts = self.meeting.gather([result, problem])
        if trouble := self.meeting.tell(next((trouble for _, trouble in parts if trouble), "")):
            raise NotSaved(trouble)
        return [part for part, _ in parts]

    def _clear(self, unfinished: Path) -> None:
        if self.rank == 0:
            remove_tree(unfinished)

    def _write_tensors(self, copies: dict[str, Tensor], unfinished: Path) -> None:
        """The tensors and their index. A rank says where its tensors lie, and nothing where that is as it was."""
        mine = ""

        def write() -> str:
            nonlocal mine
            mine = as_text(write_tensors(copies, unfinished, self.rank))
            return "" if mine == self.said else mine

        said = self._together(write)

        def index() -> None:
            if any(said):
                self.told = [new or old for new, old in zip(said, self.told or said, strict=True)]
                self.index = index_of(self.told)
            if self.rank == 0:
                (unfinished / INDEX).write_bytes(self.index)

        self._together(index)
        self.said = mine

    def _digests(self, unfinished: Path) -> dict[str, str]:
        """sha256 of this rank's share of the files, which it syncs as well."""
        digests: dict[str, str] = {}
        for file in sorted(unfinished.iterdir())[self.rank :: dist.get_world_size()]:
            self.phase = ("check", len(digests))
            digests[file.name] = digest(file)
            sync(file)
        self.phase = ("publish", 0)
        return digests

    def _publish(self, unfinished: Path, final: Path, manifest: CheckpointManifest) -> None:
        if self.rank == 0:
            if self.records is not None:
                sync_records(self.records)
            _publish(unfinished, final, manifest)

    def _explain(self, step: int, reason: str, needed: int) -> Exception:
        final = of_step(self.folder, step)
        full = is_full(reason)
        with suppress(OSError):
            full = full or shutil.disk_usage(self.folder).free < needed
        reason = os.strerror(errno.ENOSPC) if full else reason
        if self.rank == 0:
            print(f"warning: no checkpoint at step {step}: {reason}; earlier ones are kept", file=sys.stderr)
        if full:
            return OSError(errno.ENOSPC, reason, str(final))
        return Fault(f"step {step} could not be saved: {reason}")

    def _warn(self, skipped: dict[Path, str]) -> None:
        for checkpoint, problem in skipped.items():
            if checkpoint not in self.warned:
                print(f"warning: {checkpoint.name} is kept: {problem}", file=sys.stderr)
                self.warned.add(checkpoint)


class SaveCheckpoints(Callback):
    """Permanent checkpoints by steps, rolling ones by steps or by time, and the last one before training ends."""

    def on_train_begin(self, run: TrainingRun) -> None:
        self.saver = Saver(
            run.job.folder / "checkpoints",
            run.trainer.tensors,
            run.job.recipe.checkpoint,
            run.step,
            run.ledger.published,
            run.ledger.progress,
            run.job.recipe.averaged,
            run.job.folder,
        )
        self.last_save = time.monotonic()

    def on_step_begin(self, run: TrainingRun) -> None:
        self.saver.check()

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        minutes = run.job.recipe.checkpoint.rolling_minutes
        run.should_save |= bool(minutes) and time.monotonic() - self.last_save > 60 * minutes

    def on_save(self, run: TrainingRun) -> None:
        permanent = run.is_permanent_save_due
        run.trainer.corruption.compare(run.step)
        facts = run.trainer.facts() | {"spikes": run.spikes}
        self.saver.copy(run.step, facts, PERMANENT if permanent else ROLLING)
        self.last_save = time.monotonic()
        run.rollbacks = 0 if permanent else run.rollbacks

    def on_log(self, run: TrainingRun, metrics: StepMetrics) -> None:
        self.saver.start()  # only now: no checkpoint without the record of its step

    def on_rollback_begin(self, run: TrainingRun) -> None:
        self.saver.finish()

    def on_rollback_end(self, run: TrainingRun) -> None:
        self.saver.go_on_from(run.step)

    def on_train_end(self, run: TrainingRun) -> None:
        if (problem := self.saver.finish()) is not None:
            raise problem
        if self.saver.newest != run.step:
            raise Fault(f"training ended at step {run.step:,}, its newest checkpoint is of step {self.saver.newest:,}")


def prune(
    folder: Path, newest: Path, settings: CheckpointConfig, verified: set[int], averaged: Collection[int] = ()
) -> dict[Path, str]:
    """Remove those up to ``newest`` that enough later ones of their tier replace; those of the steps ``averaged`` stay.

    Only ``verified`` steps count as such: their bytes were read and found right by this process's job. Returns those
    whose tier cannot be known, which stay, and why.
    """
    skipped: dict[Path, str] = {}
    later = {PERMANENT: 0, ROLLING: 0}
    keep = {PERMANENT: settings.keep, ROLLING: settings.keep_rolling}
    for checkpoint in saved(folder):
        if step_of(checkpoint) > step_of(newest):
            continue
        try:
            tier = ROLLING if read_manifest(checkpoint).tier == ROLLING else PERMANENT
        except (OSError, Damaged, InputError) as error:
            skipped[checkpoint] = str(error)
            continue
        if tier == PERMANENT and settings.retains(step_of(checkpoint)):
            continue
        if later[tier] >= keep[tier] and step_of(checkpoint) not in averaged:
            remove(checkpoint)
        elif step_of(checkpoint) in verified:
            later[tier] += 1
    return skipped


def is_full(reason: str) -> bool:
    """Whether a rank was told so: what is free says nothing of a quota, nor of what the other ranks need."""
    return any(os.strerror(number) in reason for number in (errno.ENOSPC, errno.EDQUOT))


def make_room(
    folder: Path,
    needed: int,
    settings: CheckpointConfig,
    verified: set[int],
    averaged: Collection[int] = (),
    *,
    told: bool = False,
) -> list[Path]:
    """On a full disk: remove checkpoints, the oldest first, until ``needed`` bytes are free; one at least when ``told``
    that it is full. The newest verified one, later ones, retained ones and those to be averaged stay. Returns those
    that are gone."""
    gone: list[Path] = []
    older = saved(folder)
    while older and step_of(older[0]) not in verified:
        older.pop(0)
    for checkpoint in reversed(older[1:]):
        if (gone or not told) and shutil.disk_usage(folder).free >= needed:
            break
        if not settings.retains(step_of(checkpoint)) and step_of(checkpoint) not in averaged:
            remove(checkpoint)
            gone.append(checkpoint)
            print(f"warning: the disk is full: {checkpoint.name} is removed to save a newer one", file=sys.stderr)
    return gone


def remove(checkpoint: Path) -> None:
    """Under a hidden name first: half of a checkpoint must not look like a damaged one."""
    hidden = checkpoint.with_name(f".{checkpoint.name}")
    remove_tree(hidden)  # of a removal that a kill cut short
    checkpoint.rename(hidden)
    remove_tree(hidden)


def sync_records(folder: Path) -> None:
    """Wait until all lines of the JSON Lines files in ``folder`` are on the disk, whoever wrote them."""
    for file in listed(folder, "*.jsonl"):
        sync(file)
    sync(folder)


def _publish(unfinished: Path, final: Path, manifest: CheckpointManifest) -> None:
    manifest.write(unfinished / MANIFEST)
    if final.exists():  # nothing should be there; whatever it is, it is not ours to remove
        set_aside(final, REPLACED)
    unfinished.rename(final)
    sync(final.parent)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if "Error" in line]
    return (causes or lines or [type(error).__name__])[-1][:200]
