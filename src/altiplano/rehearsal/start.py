"""What one rank of a large job does beside its steps, measured: it starts, saves, resumes, scores held-out text.

The code is the job's own, on a folder of tokens of the job's size (``synthetic.py``), a fake device and
ranks that only answer (``fake_gpu.py``). What the host does is real: lists that are read, files that are opened,
plans and indexes that are made. What a device or a file system would take is left out, as are the tensors' bytes.
"""

import gc
import hashlib
import itertools
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import DefaultSavePlanner
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import _compute_local_shape_and_global_offset
from torch.futures import Future

from altiplano.peak_memory import peak_memory
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.rehearsal.fake_gpu import LoneMeeting, outside, put
from altiplano.rehearsal.life import fake_rank
from altiplano.tokens.loader import make_batch
from altiplano.tokens.shards import verify_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints import loading, saving
from altiplano.training.checkpoints.reader import CheckpointReader
from altiplano.training.checkpoints.writing import Written, as_text, is_chosen, share
from altiplano.training.job import Job
from altiplano.training.trainer import Trainer, prepare

SCORED_ROWS = 4
EMPTY = hashlib.sha256().hexdigest()
READY, FIRST_SAVE, SAVE, RESUME, SCORE = (
    "ready for the first step",
    "first checkpoint",
    "each further checkpoint",
    "resume",
    f"score {SCORED_ROWS} rows of held-out text",
)


@dataclass(frozen=True)
class Phase:
    """``seconds`` of processor time of this process; ``files`` opened; ``read`` bytes by reading, not by mapping;
    ``memory``: the most bytes resident so far."""

    name: str
    seconds: float
    files: int
    read: int
    memory: int


class Meter:
    """The first phase counts from the start of the process."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.files = 0
        self.seconds, self.read, self.paused = 0.0, 0, 0.0
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: Any) -> None:
        self.files += event == "open"

    def end(self, name: str) -> None:
        seconds, read = time.process_time() - self.paused, _read_bytes()
        self.phases.append(Phase(name, seconds - self.seconds, self.files, read - self.read, peak_memory()))
        self.seconds, self.read, self.files = seconds, read, 0

    @contextmanager
    def pause(self) -> Iterator[None]:
        """What only the rehearsal does."""
        begun, files, read = time.process_time(), self.files, _read_bytes()
        yield
        self.paused += time.process_time() - begun
        self.read += _read_bytes() - read
        self.files = files


def _read_bytes() -> int:
    with suppress(OSError):
        return int(Path("/proc/self/io").read_text().split()[1])
    return 0


def rehearse_start(recipe: Recipe, layout: Layout, rank: int, tokens: Path, folder: Path) -> list[dict[str, Any]]:
    """The phases of global rank ``rank``, whose process this is. ``tokens`` is a tokenized folder, ``folder`` empty."""
    meter = Meter()
    job = Job(recipe=recipe, layout=layout, device="cuda", tokens=tokens, folder=folder)
    bos = Tokenizer.load(tokens / "tokenizer").bos
    with fake_rank(layout, rank) as (mesh, _watch):
        if rank == 0:
            verify_shards(tokens, limit=0)
        trainer = prepare(job, mesh, bos)
        batch = trainer.batch()
        meter.end(READY)
        _save_and_resume(trainer, meter)
        rows = min(SCORED_ROWS, max(1, len(batch.tokens)))
        windows = trainer.heldout[0].windows[:rows]
        trainer.model.score(make_batch(windows, bos))
        meter.end(SCORE)
        trainer.close()
    return [asdict(phase) for phase in meter.phases]


def _save_and_resume(trainer: Trainer, meter: Meter) -> None:
    folder, settings = trainer.job.folder / "checkpoints", trainer.job.recipe.checkpoint
    with meter.pause():
        trainer.close()  # batches that are read ahead are no part of a checkpoint
        parts = outside(_parts_of_all)(trainer.tensors, trainer.job.layout)
        texts = [as_text([Written(*each) for each in part]) for part in parts]
        mine = [Written(*part) for part in parts[0]]
        del parts
        gc.collect()
    put(saving, "Meeting", lambda: Peers(texts))

    def write(tensors: Any, unfinished: Path, number: int) -> list[Written]:
        share(tensors, DefaultSavePlanner())
        with meter.pause():
            unfinished.mkdir(exist_ok=True)
            for other in range(trainer.job.layout.world_size):
                (unfinished / f"__{other}_0.distcp").touch()
        return mine

    put(saving, "write_tensors", write)
    saver = saving.Saver(folder, trainer.tensors, settings)
    for step, name in ((1, FIRST_SAVE), (2, SAVE)):
        saver.copy(step, trainer.facts(), saving.PERMANENT)
        saver.start()
        if (problem := saver.finish()) is not None:
            raise problem
        meter.end(name)
    put(CheckpointReader, "read_data", _read_nothing)
    # Planning multiplies small real tensors, which as fake ones would take a hundred times as long.
    put(dcp, "load", outside(dcp.load))
    if loading.load_newest(folder, trainer.tensors) is None:
        raise RuntimeError("no checkpoint was found")
    meter.end(RESUME)


def _read_nothing(reader: Any, plan: Any, planner: Any) -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done


class Peers(LoneMeeting):
    """The other ranks say what ranks in their places would: where their tensors lie, the hashes of their files."""

    def __init__(self, texts: list[str]):
        super().__init__()
        self.texts = texts

    def gather(self, value: Any) -> list[Any]:
        result, problem = value
        if isinstance(result, dict):  # hashes
            theirs: list[Any] = [{f"__{rank}_0.distcp": EMPTY} for rank in range(self.world)]
        elif isinstance(result, str):
            theirs = [result and text for text in self.texts]
        else:
            theirs = [None] * self.world
        return [value] + [[their, problem] for their in theirs[1:]]


def _parts_of_all(tensors: dict[str, Any], layout: Layout) -> list[list[Any]]:
    """What each rank of the job writes, as this one knows it: other pipeline ranks are taken to have as much."""
    found: list[list[Any]] = [[] for _ in range(layout.world_size)]
    plane = layout.world_size // layout.pp
    ends = [0] * layout.world_size
    for name, tensor in tensors.items():
        mesh_shape = tuple(tensor.device_mesh.shape) if isinstance(tensor, DTensor) else ()
        placements = tensor.placements if isinstance(tensor, DTensor) else ()
        for number, coordinate in enumerate(_coordinates(mesh_shape, plane)):
            if not is_chosen(name, coordinate, mesh_shape, placements):
                continue
            sizes, offsets = [*tensor.shape], [0] * tensor.ndim
            if mesh_shape:
                sizes, offsets = _local(tuple(tensor.shape), mesh_shape, coordinate, tuple(placements))
            length = math.prod(sizes) * tensor.element_size()
            for pipeline in range(layout.pp if length else 0):
                rank = pipeline * plane + number
                named = f"{name}@{pipeline}" if pipeline else name
                dtype = str(tensor.dtype).removeprefix("torch.")
                file = f"__{rank}_0.distcp"
                found[rank].append([named, dtype, [*tensor.shape], offsets, sizes, file, ends[rank], length])
                ends[rank] += length
    return found


@cache
def _local(
    size: tuple[int, ...], mesh_shape: tuple[int, ...], coordinate: tuple[int, ...], placements: tuple[Any, ...]
) -> tuple[list[int], list[int]]:
    """Sizes and offsets of a part; alike for all layers and moments."""
    local = _compute_local_shape_and_global_offset(torch.Size(size), mesh_shape, list(coordinate), placements)
    return [*local[0]], [*local[1]]


def _coordinates(mesh_shape: tuple[int, ...], plane: int) -> Iterator[tuple[int, ...]]:
    """Of a rank in each place of a pipeline rank; a tensor that is not spread is held by the first."""
    places = itertools.product(*(range(size) for size in mesh_shape))
    return itertools.islice(places, plane)
