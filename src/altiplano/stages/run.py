"""A run: the stages in order, in one workspace, up to the one that was asked for."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tomli_w

from altiplano.errors import InputError
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, check_layout
from altiplano.recipe.schema import Recipe
from altiplano.stages import calibrate, curate, evaluate, redteam, release, tokenize, train
from altiplano.stages.stage import Context, Outcome, is_publisher, run_stage

STAGES = tuple(module.STAGE for module in (curate, tokenize, train, evaluate, calibrate, redteam, release))


def run_until(
    last: str,
    recipe: Recipe,
    cluster: Cluster,
    layout: Layout,
    workspace: Path,
    *,
    again: bool = False,
    stop_after: int | None = None,
    profile: tuple[int, int] | None = None,
    allow: tuple[str, ...] = (),
    views: tuple[str, ...] = (),
    engine: str = "local",
) -> list[Outcome]:
    """Run every stage up to ``last`` that is not up to date; ``again`` recomputes ``last`` even if it is, and begins
    any stage anew whose unfinished work was begun with other settings.

    Stops early, with the outcome so far, at a stage that did not finish or whose gate failed.
    """
    check_layout(layout, recipe)
    if last not in ("curate", "tokenize"):
        check_device(cluster)
    outcomes: list[Outcome] = []
    with locked(workspace):
        (workspace / "recipe.toml").write_text(recipe_toml(recipe))
        for stage in STAGES:
            context = Context(
                recipe, cluster, layout, workspace, workspace, {}, stop_after, profile, allow, views, engine
            )
            say(f"{stage.name} …")
            outcome = run_stage(stage, context, again=again and stage.name == last, anew=again)
            outcomes.append(outcome)
            say(f"{stage.name}: {_describe(outcome)}")
            if stage.name == last or not outcome.result.finished or not outcome.result.passed:
                break
    return outcomes


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
def locked(workspace: Path) -> Iterator[None]:
    """Keep a second command out of the workspace. The lock goes with the process, even when it is killed."""
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        lock = (workspace / ".lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write to {workspace}: {error.strerror}; choose another --workspace") from error
    with lock:
        if is_publisher():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(f"another altiplano command is at work in {workspace}; wait for it") from error
        yield


def say(text: str) -> None:
    if is_publisher():
        print(text, file=sys.stderr, flush=True)


def _describe(outcome: Outcome) -> str:
    if not outcome.result.finished:
        return outcome.result.message or "not finished"
    counts = "  ".join(
        f"{name} {value}" for name, value in outcome.result.counts.items() if not isinstance(value, dict)
    )
    if outcome.skipped:
        return f"up to date ({outcome.manifest['hash'][:12]})"
    measured = outcome.manifest["measured"]
    return f"done in {measured['wall_seconds']:.1f} s  {counts}"
