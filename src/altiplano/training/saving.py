"""Saving checkpoints beside training: copy the state, then write, check, publish and prune in a thread of its own.

Training waits only for the copy. The thread speaks over a process group of its own, so its messages never mix with
those of a training step. A checkpoint appears by rename after all its bytes are on the disk: whenever the power goes,
there is either the whole of it or nothing under its name.
"""

import errno
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException

from altiplano.disk import digest, sync
from altiplano.recipe.schema import Checkpoint
from altiplano.training.checkpoint import MANIFEST, read_manifest, saved

PERMANENT, ROLLING = "permanent", "rolling"


class Saver:
    """Writes ``folder/step-NNNNNNNN`` on all processes together, one checkpoint at a time."""

    def __init__(
        self,
        folder: Path,
        tensors: dict[str, Any],
        settings: Checkpoint,
        published: Callable[[int, float], None] = lambda step, seconds: None,
    ):
        """``published`` is told, on the first process, the step of a checkpoint that counts and the seconds it took."""
        self.folder, self.tensors, self.settings, self.published = folder, tensors, settings, published
        self.rank = dist.get_rank()
        self.group = dist.new_group(backend="gloo")
        self.thread: threading.Thread | None = None
        self.problem: OSError | None = None
        if self.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)

    def start(self, step: int, facts: dict[str, Any], tier: str) -> None:
        """Copy the state and go on writing it in the background; waits for the checkpoint before this one."""
        self.finish()
        with torch.no_grad():
            copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.tensors.items()}
        manifest = {"step": step, "tier": tier, **facts}
        self.thread = threading.Thread(target=self._write, args=(step, copies, manifest), name="checkpoint")
        self.thread.start()

    def finish(self) -> OSError | None:
        """Wait until the checkpoint being written is there; why it is not, if it could not be."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        problem, self.problem = self.problem, None
        return problem

    def _write(self, step: int, copies: dict[str, Any], manifest: dict[str, Any]) -> None:
        """When the disk is full or fails, the earlier checkpoints stay and a warning is printed."""
        final, unfinished = self.folder / f"step-{step:08d}", self.folder / f".step-{step:08d}"
        begun = time.monotonic()
        if self.rank == 0:
            shutil.rmtree(unfinished, ignore_errors=True)
        reason = ""
        try:
            dist.barrier(group=self.group)
            dcp.save(copies, checkpoint_id=unfinished, process_group=self.group)
            digests = self._digests(unfinished)
            if self.rank == 0:
                _publish(unfinished, final, manifest | {"files": digests})
                self.published(step, time.monotonic() - begun)
                prune(self.folder, final, self.settings)
        except (CheckpointException, OSError) as error:  # of any rank: DCP raises on all of them
            reason = _first_line(error)
        except RuntimeError as error:  # another process died: the supervisor starts all of them again
            self.problem = OSError(errno.EIO, _first_line(error), str(final))
            return
        outcome = [reason]
        dist.broadcast_object_list(outcome, src=0, group=self.group)
        if not outcome[0]:
            return
        full = shutil.disk_usage(self.folder).free < sum(tensor.nbytes for tensor in copies.values())
        reason = os.strerror(errno.ENOSPC) if full else outcome[0]
        self.problem = OSError(errno.ENOSPC if full else errno.EIO, reason, str(final))
        dist.barrier(group=self.group)
        if self.rank == 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            print(f"warning: no checkpoint at step {step}: {reason}; earlier ones are kept", file=sys.stderr)

    def _digests(self, unfinished: Path) -> dict[str, str]:
        """sha256 of every file; each process reads its share. Files are synced by the process that read them."""
        mine: dict[str, str] = {}
        problem = ""
        try:
            for file in sorted(unfinished.iterdir())[self.rank :: dist.get_world_size()]:
                mine[file.name] = digest(file)
                sync(file)
        except OSError as error:
            problem = str(error)
        parts: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(parts, (mine, problem), group=self.group)
        for _, trouble in parts:
            if trouble:
                raise OSError(errno.EIO, trouble)
        return {name: value for part, _ in parts for name, value in part.items()}


def prune(folder: Path, newest: Path, settings: Checkpoint) -> None:
    """Forget all but the newest permanent and rolling ones.

    Those later than ``newest`` go, too: they were damaged or rolled back, or this run would have started from them.
    """
    older = saved(folder)[saved(folder).index(newest) :]
    kept: dict[str, list[Path]] = {PERMANENT: [], ROLLING: []}
    for checkpoint in older:
        kept[_tier(checkpoint)].append(checkpoint)
    keep = {*kept[PERMANENT][: settings.keep], *kept[ROLLING][: settings.keep_rolling]}
    for checkpoint in saved(folder):
        if checkpoint not in keep:
            shutil.rmtree(checkpoint, ignore_errors=True)


def _tier(checkpoint: Path) -> str:
    try:
        tier = read_manifest(checkpoint).get("tier", PERMANENT)
    except (OSError, json.JSONDecodeError):
        return PERMANENT
    return ROLLING if tier == ROLLING else PERMANENT


def _publish(unfinished: Path, final: Path, manifest: dict[str, Any]) -> None:
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    sync(unfinished / MANIFEST)
    sync(unfinished)
    shutil.rmtree(final, ignore_errors=True)
    unfinished.rename(final)
    sync(final.parent)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if "Error" in line]
    return (causes or lines or [type(error).__name__])[-1][:200]
