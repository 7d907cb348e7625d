"""``altiplano rehearse --start``: what a job's first rank does on its host, and where the host waits for the device."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from altiplano.errors import TrainingError
from altiplano.recipe.batch import BatchConfig
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.recipe.units import human_bytes
from altiplano.rehearsal import rehearse

MEMORY_LIMIT = 2 * 2**30
"""Bytes of a rank's process, of which eight share a node; tensors on the device do not count."""
SECONDS_LIMITS = {"ready for the first step": 60.0, "first checkpoint": 5.0, "each further checkpoint": 5.0}
"""Of processor time: what all ranks wait for, and what runs beside the thread that trains. The first checkpoint of a
session has its index made, for 2,048 ranks of 320,000 parts."""


@dataclass(frozen=True)
class Phase:
    """As ``start.Phase``, from the process that was measured."""

    name: str
    seconds: float
    files: int
    read: int
    memory: int

    @property
    def agrees(self) -> bool:
        return self.seconds <= SECONDS_LIMITS.get(self.name, float("inf")) and self.memory <= MEMORY_LIMIT


@dataclass(frozen=True)
class HostRehearsal:
    shards: int
    phases: list[Phase]
    steps: int
    operations: int
    waits_of_a_step: dict[str, int]

    @property
    def agrees(self) -> bool:
        return all(phase.agrees for phase in self.phases)


def rehearse_host(recipe: Recipe, layout: Layout) -> HostRehearsal:
    """Two ranks in fresh processes: one that starts the job in its real size, one that lives through a small one.

    Raises TrainingError where one fails: devices are mixed, or a host waits where it may not.
    """
    from altiplano.rehearsal.synthetic import write_tokens

    running: list[subprocess.Popen[str]] = []
    with tempfile.TemporaryDirectory(prefix="altiplano-rehearsal-") as place:
        try:
            folders = {name: Path(place) / name for name in ("tokens", "start", "few-tokens", "life")}
            for folder in folders.values():
                folder.mkdir()
            rehearse.say("writing lists and headers of the job's token shards …")
            shards = write_tokens(folders["tokens"], recipe)
            rehearse.say("rehearsing the start, checkpoints and the resumption of rank 0 …")
            where = {"tokens": str(folders["tokens"]), "folder": str(folders["start"])}
            phases = rehearse.run_rank(recipe, layout, 0, running, kind="start", **where)["phases"]
            rehearse.say("running a small job of this layout from its start to its end on a fake GPU …")
            small = shrunk(recipe, layout)
            write_tokens(folders["few-tokens"], small)
            where = {"tokens": str(folders["few-tokens"]), "folder": str(folders["life"])}
            lived = rehearse.run_rank(small, layout, 0, running, kind="life", **where)
        except BaseException:
            for process in running:
                process.kill()
            raise
    if not lived["rollbacks"]:
        raise TrainingError("the small job had no rollback")
    return HostRehearsal(
        shards, [Phase(**phase) for phase in phases], lived["steps"], lived["operations"], lived["waits_of_a_step"]
    )


def shrunk(recipe: Recipe, layout: Layout) -> Recipe:
    """As few layers, rows and steps as the layout can do with: where a host waits does not depend on their number."""
    sequence = 128 * layout.cp
    rows = layout.dp * layout.pp * (layout.micro_batch or 1)
    batch = BatchConfig(tokens=rows * sequence, sequence_length=sequence, total_tokens=20 * rows * sequence)
    changes: dict[str, Any] = {
        "model": recipe.model.model_copy(update={"num_hidden_layers": max(2, layout.stages)}),
        "batch": batch,
        "evaluation": recipe.evaluation.model_copy(
            update={"interval_steps": 3, "max_tokens": 2 * sequence, "benchmarks": ()}
        ),
        "checkpoint": recipe.checkpoint.model_copy(update={"interval_steps": 100, "rolling_minutes": 0}),
        "recovery": recipe.recovery.model_copy(update={"check_weights_every": 4, "check_speed_every": 5}),
        "optimizer": recipe.optimizer.model_copy(update={"warmup_steps": 2}),
        "mixture": (),
        "forget": (),
        "pretrained": None,
    }
    return recipe.model_copy(update=changes)


def as_text(done: HostRehearsal) -> str:
    lines = [f"rank 0 on its host, {done.shards:,} token shards; seconds are processor time of this machine"]
    lines.append(f"  {'':<40}{'seconds':>9}{'limit':>7}{'files':>9}{'read':>11}{'memory':>11}")
    for phase in done.phases:
        limit = SECONDS_LIMITS.get(phase.name)
        lines.append(
            f"{' ' if phase.agrees else '✗'} {phase.name:<40}{phase.seconds:>9.1f}{f'{limit:.0f}' if limit else '':>7}"
            f"{phase.files:>9,}{human_bytes(phase.read):>11}{human_bytes(phase.memory):>11}"
        )
    total = sum(done.waits_of_a_step.values())
    lines.append(
        f"\n  a small job of this layout on a fake GPU: {done.steps} steps, a rollback, saves, "
        f"loads, then scoring and generation; {done.operations:,} operations, none of which mixed devices"
    )
    lines.append(f"  in an ordinary step the host waits for the device {total} time{'s' if total != 1 else ''}:")
    lines += [f"    {count} in {place}" for place, count in sorted(done.waits_of_a_step.items())]
    return "\n".join(lines)


def as_json(done: HostRehearsal) -> dict[str, Any]:
    """Keys as in docs/reference/json-output.md."""
    return {
        "agrees": done.agrees,
        "shards": done.shards,
        "memory_limit": MEMORY_LIMIT,
        "phases": [
            {
                "name": phase.name,
                "seconds": round(phase.seconds, 2),
                "limit": SECONDS_LIMITS.get(phase.name),
                "files": phase.files,
                "read_bytes": phase.read,
                "memory_bytes": phase.memory,
            }
            for phase in done.phases
        ],
        "waits_of_a_step": done.waits_of_a_step,
    }
