"""``altiplano rehearse``: one process for each kind of pipeline rank, and what is printed of them."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from subprocess import PIPE
from typing import Any

from altiplano.errors import InputError, TrainingError
from altiplano.planning.plan import laid_out, one_step
from altiplano.planning.stacks import load_stack
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.recipe.units import human_bytes
from altiplano.rehearsal.compare import STACK, Comparison, compare, kinds_of_rank

TOGETHER = 2
"""Ranks at a time, each of which has a process with one thread and half a GiB."""


def rehearse(recipe: Recipe, cluster: Cluster, layout: Layout) -> list[Comparison]:
    """Rehearse one rank of each kind and compare it with the plan; says on standard error how far it is.

    Raises InputError for a layout or precision that cannot be, TrainingError where the training code fails.
    """
    if recipe.precision.compute == "float64":
        raise InputError("precision.compute = float64 is for tests and is not planned; rehearse bfloat16 or float32")
    stack = load_stack(STACK)
    case = laid_out(one_step(recipe, stack), layout, recipe, cluster, stack, cluster.devices)
    kinds, running = kinds_of_rank(recipe, layout), list[subprocess.Popen[str]]()

    def one_kind(alike: list[int]) -> Comparison:
        say(f"rehearsing pipeline rank {alike[0]} of {layout.pp} …")
        found = compare(recipe, layout, case, alike, run_rank(recipe, layout, alike[0], running))
        verdict = "as planned" if found.agrees else "NOT as planned"
        say(
            f"pipeline rank {found.rank}: {verdict}; {found.seconds:.0f} s, "
            f"{human_bytes(found.process_bytes)} of this machine's memory"
        )
        return found

    with ThreadPoolExecutor(TOGETHER) as together:
        try:
            return list(together.map(one_kind, kinds))
        except BaseException:
            # A rank failed, or Ctrl-C, which an interpreter that is importing may not have heard.
            for process in running:
                process.kill()
            raise


FAILED = {"step": "cannot take a step", "start": "cannot start", "life": "cannot live on one device"}


def say(text: str) -> None:
    sys.stderr.write(text + "\n")  # at once: two threads speak
    sys.stderr.flush()


def run_rank(
    recipe: Recipe,
    layout: Layout,
    rank: int,
    running: list[subprocess.Popen[str]],
    kind: str = "step",
    **folders: str,
) -> dict[str, Any]:
    """In a fresh process, added to ``running``: PyTorch has one default process group. ``kind``: step, start or life.

    Raises TrainingError with its last words.
    """
    # Compiling is left out: it changes neither shapes nor collectives, and fake tensors are not compiled.
    plain = layout.model_copy(update={"compile": False, "async_tp": False, "flash": False})
    job = {"recipe": recipe.model_dump(mode="json"), "layout": plain.model_dump(mode="json"), "rank": rank}
    job |= {"kind": kind, **folders}
    command = [sys.executable, "-m", "altiplano.rehearsal", str(os.getpid())]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        running.append(process)
        output, errors = process.communicate(json.dumps(job))
    if process.returncode:
        words = [line for line in errors.splitlines() if line.strip()]
        raise TrainingError(
            f"pipeline rank {rank} (stages {layout.stage_numbers(rank)}) of layout {layout} {FAILED[kind]}: "
            f"{words[-1].strip() if words else f'exit status {process.returncode}'}"
        )
    measured: dict[str, Any] = json.loads(output.splitlines()[-1])
    return measured


def as_text(done: list[Comparison], layout: Layout) -> str:
    lines = [f"layout {layout}, {layout.world_size:,} ranks: one step of {len(done)} kinds of pipeline rank"]
    for one in done:
        alike = f"ranks {one.alike[0]} to {one.alike[-1]}" if len(one.alike) > 1 else f"rank {one.rank}"
        lines.append(f"\npipeline {alike}, stages {', '.join(map(str, one.stages))} (of rank {one.rank})")
        lines.append(f"  {'':<52}{'planned':>18}{'measured':>18}")
        for line in one.lines:
            off = f" {line.measured / line.planned - 1:+.1%}" if line.within and line.planned else ""
            lines.append(_row(line.what, line.planned, line.measured, line.agrees) + off)
        for sent in one.collectives:
            what = f"{sent.kind} of {sent.ranks} ({sent.group}), {human_bytes(sent.size)}: {sent.what}"
            lines.append(_row(what, sent.planned, sent.measured, sent.agrees))
    agree = all(one.agrees for one in done)
    lines.append("\n" + ("all as planned" if agree else "NOT as planned: see the lines marked ✗"))
    return "\n".join(lines)


def _row(what: str, planned: int, measured: int, agrees: bool) -> str:
    return f"{' ' if agrees else '✗'} {what:<52}{planned:>18,}{measured:>18,}"


def as_json(done: list[Comparison], recipe: Recipe, cluster: Cluster, layout: Layout) -> dict[str, Any]:
    """Keys as in docs/reference/json-output.md."""
    return {
        "recipe": recipe.name,
        "cluster": cluster.name,
        "layout": str(layout),
        "world_size": layout.world_size,
        "agrees": all(one.agrees for one in done),
        "ranks": [
            {
                "rank": one.rank,
                "alike": one.alike,
                "stages": one.stages,
                "agrees": one.agrees,
                **{
                    line.what.replace(" ", "_"): {"planned": line.planned, "measured": line.measured}
                    for line in one.lines
                },
                "collectives": [
                    {
                        "kind": sent.kind,
                        "group": sent.group,
                        "ranks": sent.ranks,
                        "bytes": sent.size,
                        "what": sent.what,
                        "planned": sent.planned,
                        "measured": sent.measured,
                    }
                    for sent in one.collectives
                ],
                "seconds": round(one.seconds, 1),
                "process_bytes": one.process_bytes,
            }
            for one in done
        ],
    }
