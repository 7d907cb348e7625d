"""PyTorch's flight recorder: the last collectives of each rank, in files, when one hangs.

The recorder is a ring in each process (``parallel/mesh.py`` sets its length): which collective, in which group, of
which sizes, called from where, and whether it began and ended. Files are as NCCL writes them itself when a collective
is not done in time, so PyTorch's ``torchfrtrace FOLDER`` reads either. The folder is emptied when all ranks start
again, and what was in it is kept once: a run has at most two files of each rank.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from altiplano.parallel.mesh import set_default
from altiplano.storage import remove_leftover

NEWEST, BEFORE = "flight-recorder/newest", "flight-recorder/before"
"""In a training's folder."""
PLACE = "TORCH_FR_DUMP_TEMP_FILE"
PREFIX = "rank_"
"""PyTorch appends the number of the rank."""
SECONDS = 20.0
"""That ranks have to write their files."""


def keep_collectives_in(folder: Path, first: bool) -> None:
    """From now on records go into ``folder``, that of a training, NCCL's own too, unless the environment says where:
    NCCL reads it when it writes its first one (``DebugInfoWriter::getWriter``), so a process group may be there.
    ``first``: this is the first rank, which makes room."""
    newest = folder / NEWEST
    if first:
        _keep_once(newest, folder / BEFORE)
    newest.mkdir(parents=True, exist_ok=True)
    if os.environ.get(PLACE, "").endswith(f"/{NEWEST}/{PREFIX}"):  # of the training before, in this same process
        del os.environ[PLACE]
    set_default(PLACE, "TORCH_NCCL_DEBUG_INFO_TEMP_FILE", f"{newest / PREFIX}")


def _keep_once(newest: Path, before: Path) -> None:
    """Two places, not one a hang: those of thousands of ranks are gigabytes."""
    with suppress(OSError):  # a start must not fail for it
        if any(newest.iterdir()):
            remove_leftover(before)
            newest.rename(before)


def write_collectives(folder: Path, rank: int) -> None:
    """Write this process's record into ``folder``, that of a training. Nothing where PyTorch has no recorder, before
    the process group has started, and where the disk takes nothing."""
    functions: Any = getattr(torch._C, "_distributed_c10d", None)
    # What NCCL has recorded; without NCCL, what gloo has.
    recorded = getattr(functions, "_dump_nccl_trace", None) or getattr(functions, "_dump_fr_trace", None)
    if recorded is None or not dist.is_initialized():
        return
    target = folder / NEWEST / f"{PREFIX}{rank}"
    # torchfrtrace takes every file whose name ends in a number.
    unfinished = target.with_name(f".{rank}.tmp")
    with suppress(OSError, RuntimeError):
        unfinished.write_bytes(recorded())
        unfinished.replace(target)


def wait_for_files(folder: Path, ranks: Iterable[int]) -> str:
    """Wait at most ``SECONDS`` for those of ``ranks``; says where they are and how many."""
    files, end = [folder / NEWEST / f"{PREFIX}{rank}" for rank in ranks], time.monotonic() + SECONDS
    while not all(file.exists() for file in files) and time.monotonic() < end:
        time.sleep(0.05)
    found = sum(file.exists() for file in files)
    return f"the last collectives of {found} of {len(files)} ranks of this machine are in {NEWEST}"
