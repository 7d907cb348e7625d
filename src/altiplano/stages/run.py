"""A run: the stages in order, in one workspace, up to the one that was asked for."""

import fcntl
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import tomli_w

from altiplano.errors import InputError
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import MAIN, check_layouts, is_training, layout_of, trainings
from altiplano.stages import calibrate, curate, evaluate, redteam, release, tokenize, train
from altiplano.stages.stage import (
    FUNCTIONS,
    Context,
    Outcome,
    Stage,
    is_publisher,
    read_manifest,
    run_stage,
    up_to_date,
)
from altiplano.stages.torchrun import Handover, end_with_the_agent, ending_the_agent, is_rank, with_nodes_at_hand
from altiplano.storage import write_text

if TYPE_CHECKING:
    from altiplano.corpus.extensions import Extensions
    from altiplano.training.callbacks import Custom

SECONDS_TO_END = 30.0
"""What a killed command has started may take so long to be gone."""
SECONDS_ELSEWHERE = 180.0
"""A first rank on another node may take so long: a file server gives the lock of a dead client away after its lease
(90 s by default in Linux' NFS server), and keeps it in the meantime."""
BEFORE_TRAINING = ("curate", "tokenize")
STAGES = tuple(module.STAGE for module in (curate, tokenize, train, evaluate, calibrate, redteam, release))


def stages_of(recipe: Recipe) -> list[tuple[Stage, Recipe]]:
    """The stages of a run in order, each with the recipe that it computes: every phase is a stage of its own, and those
    after training take what the last one trained. A release has all of them."""
    every = trainings(recipe)
    last = every[-1]
    found: list[tuple[Stage, Recipe]] = []
    for stage in STAGES:
        if stage.name == MAIN:
            befores = [None, *every[:-1]]
            found += [
                (train.stage_of(stage, one, before), one.recipe) for one, before in zip(every, befores, strict=True)
            ]
        elif stage.name == "release":
            found.append((_after(stage, [one.stage for one in every]), recipe))
        else:
            found.append((_after(stage, [last.stage]), recipe if stage.name in BEFORE_TRAINING else last.recipe))
    return found


def _after(stage: Stage, trained: list[str]) -> Stage:
    """The stage with these trainings in the place of the main one."""
    inputs = [name for one in stage.inputs for name in (trained if one == MAIN else [one])]
    return stage if tuple(inputs) == stage.inputs else replace(stage, inputs=tuple(inputs))


def run_until(
    last: str,
    recipe: Recipe,
    cluster: Cluster,
    layout: Layout,
    workspace: Path,
    *,
    force: bool = False,
    stop_after: int | None = None,
    profile: tuple[int, int] | None = None,
    export_only: bool = False,
    from_step_0: bool = False,
    allow: tuple[str, ...] = (),
    log_to: tuple[str, ...] = (),
    engine: str = "local",
    custom: "Custom | None" = None,
    extensions: "Extensions | None" = None,
) -> list[Outcome]:
    """Run every stage up to ``last`` (``train-NAME`` of a phase) that is not up to date; ``force`` recomputes ``last``
    even if it is, and begins any stage anew whose unfinished work was begun with other settings. ``stop_after`` counts
    the steps of all trainings, one after another.

    Under torchrun the first rank does that, and tells the others what they compute together; they return nothing.
    Stops early, with the outcome so far, at a stage that did not finish or whose gate failed.
    """
    check_layouts(layout, recipe, cluster)
    handover: Handover | None = None
    if last not in ("curate", "tokenize"):
        check_device(cluster)
        if is_rank():
            end_with_the_agent()
            from altiplano.parallel.mesh import TIMEOUT
            from altiplano.training.export import PATIENCE

            handover = Handover("cpu", PATIENCE) if export_only else Handover(cluster.device, TIMEOUT)
            if not is_publisher():
                with ending_the_agent():
                    handover.follow(custom)
                return []
    outcomes: list[Outcome] = []
    with ending_the_agent(), locked(workspace) as lock:
        if last not in ("curate", "tokenize"):
            train.check_forgotten(recipe, workspace)
        write_text(workspace / "recipe.toml", recipe_toml(recipe))
        if is_rank() and not export_only and last not in BEFORE_TRAINING:
            _check_ranks(last, recipe, cluster, layout, workspace)
        before = 0
        for stage, its_recipe in stages_of(recipe)[_first(last, workspace) :]:
            its_layout = _layout(stage, recipe, cluster, layout)
            if is_rank() and not export_only:
                its_layout = with_nodes_at_hand(its_layout, cluster)
            context = Context(
                its_recipe,
                cluster,
                its_layout,
                workspace,
                workspace,
                {},
                stop_after=None if stop_after is None else stop_after - before,
                profile=profile,
                export_only=export_only,
                from_step_0=from_step_0,
                allow=allow,
                log_to=log_to,
                lock=lock,
                handover=handover,
                engine=engine,
                custom=custom,
                extensions=extensions,
            )
            say(f"{stage.name} …")
            outcome = run_stage(stage, context, force=force and stage.name == last, begin_again=force)
            outcomes.append(outcome)
            say(f"{stage.name}: {_describe(outcome)}")
            if stage.name == last or not outcome.result.finished or not outcome.result.passed:
                break
            if is_training(stage.name):
                before += its_recipe.batch.steps
                if (export_only and not outcome.skipped) or (stop_after is not None and stop_after <= before):
                    break
    if handover is not None:
        handover.end()
    return outcomes


def _check_ranks(last: str, recipe: Recipe, cluster: Cluster, layout: Layout, workspace: Path) -> None:
    """Raise InputError when a training that is left needs other ranks than torchrun started: before the first step, not
    when those before it are done."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    for training in trainings(recipe):
        if read_manifest(workspace / training.stage) is None:
            its = with_nodes_at_hand(layout_of(training, cluster, layout), cluster)
            if its.world_size != started:
                raise InputError(
                    f"{training.phase} training by layout {its} needs {its.world_size:,} processes, torchrun started "
                    f"{started:,}; choose layouts with as many, or --phase for those before it"
                )
        if training.stage == last:
            break


def _first(last: str, workspace: Path) -> int:
    """Where to begin: tokens that were brought here without the documents they were made from are taken as they are."""
    alone = (workspace / "tokenize").exists() and not (workspace / "curate").exists()
    return 1 if alone and last != "curate" else 0


def first_to_do(last: str, recipe: Recipe, cluster: Cluster, layout: Layout, workspace: Path) -> str:
    """The first stage up to ``last`` that is not up to date or whose gate failed; empty when there is none."""
    missing = _missing(last, recipe, cluster, layout, workspace)
    return missing[0].name if missing is not None else ""


def is_only_export_left(last: str, recipe: Recipe, cluster: Cluster, layout: Layout, workspace: Path) -> bool:
    """Whether the first stage up to ``last`` that is not up to date is a training whose steps are all taken: only its
    weights are not written and published."""
    missing = _missing(last, recipe, cluster, layout, workspace)
    return missing is not None and is_training(missing[0].name) and train.is_only_export_left(*missing)


def _missing(
    last: str, recipe: Recipe, cluster: Cluster, layout: Layout, workspace: Path
) -> tuple[Stage, Context] | None:
    for stage, its_recipe in stages_of(recipe)[_first(last, workspace) :]:
        context = Context(its_recipe, cluster, layout, workspace, workspace, {})
        published = up_to_date(stage, context)
        if published is None or not published.passed:
            return stage, context
        if stage.name == last:
            break
    return None


def _layout(stage: Stage, recipe: Recipe, cluster: Cluster, layout: Layout) -> Layout:
    """Of a phase its own, where the cluster file has one; of the stages that ask the trained model the last one's."""
    every = trainings(recipe)
    if stage.name in BEFORE_TRAINING:
        return layout
    return layout_of(next((one for one in every if one.stage == stage.name), every[-1]), cluster, layout)


def check_device(cluster: Cluster) -> None:
    """Raise InputError when the cluster's devices are not here, before hours of curation."""
    if cluster.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError(
                f"cluster {cluster.name} has CUDA devices, this machine has none; choose another --cluster"
            )


def recipe_toml(recipe: Recipe) -> str:
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


@contextmanager
def locked(workspace: Path) -> Iterator[int]:
    """Keep a second command out of the workspace; yields the lock's descriptor.

    Processes that are given the descriptor hold the lock, too, and it goes with the last of them, even when all are
    killed. What a killed command has started may need a moment to end.
    """
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        lock = (workspace / ".lock").open("a+")
    except OSError as error:
        raise InputError(f"cannot write to {workspace}: {error.strerror}; choose another --workspace") from error
    with lock:
        if is_publisher():
            _take(lock, workspace)
        try:
            yield lock.fileno()
        finally:
            if is_publisher():  # all that was started has ended; what only inherited the descriptor shall not keep it
                fcntl.flock(lock, fcntl.LOCK_UN)


def _take(lock: IO[str], workspace: Path) -> None:
    """Raises InputError when another command lives, or what one has started does not end. Under torchrun the first rank
    may have been on a node that is lost, of which nobody here can know whether it lives: its lock is waited for."""
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().split()
            elsewhere = is_rank() and len(holder) == 2 and holder[1] != platform.node()
            alive = not elsewhere and _is_alive(holder)
            if alive or time.monotonic() - begun > (SECONDS_ELSEWHERE if elsewhere else SECONDS_TO_END):
                by = f" (process {holder[0]} on {holder[1]})" if len(holder) == 2 else ""
                raise InputError(f"another altiplano command{by} is at work in {workspace}; wait for it") from error
            time.sleep(0.1)
        except OSError as error:
            raise InputError(
                f"{workspace} is on a file system that cannot lock files ({error.strerror}), so two commands could "
                "write in it at once; choose another --workspace"
            ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()} {platform.node()}\n")
    lock.flush()


def _is_alive(holder: list[str]) -> bool:
    """Whether the command that took the lock is still there; one of another machine is taken to be."""
    if len(holder) != 2 or holder[1] != platform.node() or not holder[0].isdigit():
        return len(holder) == 2
    try:
        os.kill(int(holder[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def say(text: str) -> None:
    if is_publisher():
        print(text, file=sys.stderr, flush=True)


def _describe(outcome: Outcome) -> str:
    if not outcome.result.finished:
        return outcome.result.message or "not finished"
    counts = "  ".join(
        f"{name} {value}" for name, value in outcome.result.counts.items() if not isinstance(value, dict)
    )
    assert outcome.manifest is not None
    if outcome.skipped:
        made = ", made with functions of a Python program" if FUNCTIONS in outcome.manifest.inputs else ""
        return f"up to date ({outcome.manifest.hash[:12]}){made}"
    return f"done in {outcome.manifest.measured.wall_seconds:.1f} s  {counts}"
