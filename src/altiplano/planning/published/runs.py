"""Published training runs, and how far the planner is from them.

``data/published.csv`` holds facts with their sources. ``split``: fit (constants were fitted on it), check, apart (its
layout was not published in full: what is missing was assumed) or recalled (typed from memory).
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import cast

from altiplano.errors import InputError
from altiplano.planning.case import Case, Parallelism, RecomputeMode, Sharding
from altiplano.planning.memory import fullest
from altiplano.planning.model_size import Shape
from altiplano.planning.stacks import DATA, Chip, Stack, load_chip, load_stack
from altiplano.planning.step_time.step_time import step_time

KINDS: dict[str, dict[str, bool]] = {
    "llama": {},
    "nemotron": {"gated": False},
    "gpt": {"gated": False, "tied": True, "biased": True},
    "mpt": {"gated": False, "tied": True},
}


@dataclass(frozen=True)
class PublishedRun:
    """One published run. ``tokens_per_second`` and ``memory_gib`` per device; 0: not published."""

    name: str
    case: Case
    chip: Chip
    stack: Stack
    split: str
    tokens_per_second: float
    memory_gib: float
    source: str

    @property
    def seconds(self) -> float:
        """Of a step."""
        return self.case.batch_tokens / self.tokens_per_second / self.case.parallelism.devices

    def time_error(self) -> float:
        """Predicted step time over the published one, less one."""
        return step_time(self.case, self.chip, self.stack).total / self.seconds - 1

    def memory_error(self) -> float:
        return fullest(self.case, self.stack).total / 2**30 / self.memory_gib - 1


def published_runs(path: Path = DATA / "published.csv") -> list[PublishedRun]:
    """Raises InputError, naming the line, for one that cannot be read."""
    with path.open(encoding="utf-8", newline="") as file:
        runs = []
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                runs.append(_run(row))
            except (KeyError, ValueError, InputError) as error:
                raise InputError(f"{path} line {number}: {error}") from None
        return runs


@cache
def known_runs() -> tuple[PublishedRun, ...]:
    """The runs that come along, read once."""
    return tuple(published_runs())


@cache
def evidence(stack: str, chip: str, precision: str) -> tuple[int, float]:
    """How many published runs of that stack, chip and precision the planner was compared with, and the error that nine
    of ten which were not fitted stay within (0: none)."""
    behind = [
        run
        for run in known_runs()
        if (run.stack.name, run.chip.name, run.case.precision) == (stack, chip, precision)
        and run.split in ("fit", "check")
    ]
    errors = sorted(abs(run.time_error()) for run in behind if run.split == "check")
    return len(behind), errors[math.ceil(0.9 * len(errors)) - 1] if errors else 0.0


def _run(row: dict[str, str]) -> PublishedRun:
    layers, width, heads, num_key_value_heads, inner, words = (
        int(row[key]) for key in ("layers", "width", "heads", "kv_heads", "ffn", "vocabulary")
    )
    shape = Shape(layers, width, heads, num_key_value_heads, inner, words, **KINDS[row["kind"]])
    stack = load_stack(row["stack"])
    dp, tp, pp, cp, virtual, micro_batch = (int(row[key]) for key in ("dp", "tp", "pp", "cp", "virtual", "micro_batch"))
    sharding, shards, chip = stack.sharding, 0, load_chip(row["chip"])
    for feature in row["features"].split():
        key, _, value = feature.partition("=")
        if key == "sharding":
            sharding = cast(Sharding, value)
        elif key == "shards":
            shards = int(value)
        elif key == "network_bandwidth":
            chip = replace(chip, network_bandwidth=float(value))
        else:
            stack = replace(stack, **{key: type(getattr(stack, key))(float(value))})
    schedule = "1f1b" if virtual == 1 else "interleaved"
    parallelism = Parallelism(
        dp,
        tp,
        pp,
        cp,
        virtual,
        micro_batch,
        schedule,
        cast(RecomputeMode, row["recompute"]),
        sharding,
        stack.gradient_bytes,
        shards,
    )
    case = Case(shape, int(row["sequence"]), int(row["sequences"]), parallelism, row["precision"], slots=stack.slots)
    devices = f"{row['chip']}x{parallelism.devices} {parallelism}"
    name = f"{row['model']} {row['stack']} {devices} {row['sequence']} {row['precision']}"
    speed, memory = (float(row[key] or 0) for key in ("tokens_per_second_per_device", "memory_gib"))
    return PublishedRun(name, case, chip, stack, row["split"], speed, memory, row["source"])


@dataclass(frozen=True)
class Accuracy:
    """Of some relative errors: how many, the median and largest absolute one, the mean, and how many within 20 %."""

    count: int
    median: float
    largest: float
    bias: float
    within: float


def accuracy(errors: Iterable[float]) -> Accuracy:
    values = list(errors)
    if not values:
        return Accuracy(0, 0.0, 0.0, 0.0, 1.0)
    sizes = sorted(abs(value) for value in values)
    middle = (sizes[(len(sizes) - 1) // 2] + sizes[len(sizes) // 2]) / 2
    within = sum(size <= 0.2 for size in sizes) / len(sizes)
    return Accuracy(len(values), middle, sizes[-1], sum(values) / len(values), within)
