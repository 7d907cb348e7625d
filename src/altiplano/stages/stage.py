"""How a stage runs: skipped when done, resumed when interrupted, published whole or not at all.

``Stage.run`` gets a ``Context`` and writes files into ``context.folder``: a work folder that survives interruption,
named by the fingerprint of everything that determines its result. When it returns, a manifest is written, all is
synced to disk and the folder is renamed into place.
"""

import hashlib
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from altiplano.errors import InputError, RawFilesMissing
from altiplano.peak_memory import begin_peak, highest_peak
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import MAIN, is_training, phase_of
from altiplano.records import StageManifest, StageMeasurements
from altiplano.stages.resume import begin, wait_until_begun
from altiplano.stages.torchrun import Handover, is_rank
from altiplano.storage import Damaged, all_in, digest, json_digest, remove_temporaries, sampled_digest, sync
from altiplano.version import __version__

if TYPE_CHECKING:
    from altiplano.corpus.extensions import Extensions
    from altiplano.training.callbacks import Custom

MANIFEST = "manifest.json"
FUNCTIONS = "functions"


@dataclass(frozen=True)
class Context:
    """What a stage sees."""

    recipe: Recipe
    cluster: Cluster
    layout: Layout
    workspace: Path
    folder: Path
    inputs: dict[str, Path]
    stop_after: int | None = None
    """Training only: stop after so many optimizer steps."""
    profile: tuple[int, int] | None = None
    """Training only: record a trace of steps [first, last)."""
    export_only: bool = False
    """Training only: write the weights of a finished training, and train nothing."""
    from_step_0: bool = False
    """Training only: begin at step 0 although there are checkpoints, when none of them can be used."""
    allow: tuple[str, ...] = ()
    """Recipe keys that may differ from those that a stage with precious work was begun with."""
    log_to: tuple[str, ...] = ()
    """Training only: tensorboard, wandb."""
    custom: "Custom | None" = None
    """Training only: a library user's own functions."""
    extensions: "Extensions | None" = None
    """Curation only: a library user's own functions."""
    lock: int | None = None
    """Descriptor of the workspace's lock, for processes that write in it: it is held as long as any of them lives."""
    handover: Handover | None = None
    """Under torchrun: through which the first rank tells the others what they compute with it."""
    engine: str = "local"
    """Curation and tokenizing: local, ray or ray:ADDRESS."""

    @property
    def trained(self) -> Path:
        """Of the stage's inputs the folder of the last training, whose weights it takes."""
        return next(self.inputs[name] for name in reversed(self.inputs) if is_training(name))


@dataclass(frozen=True)
class Result:
    """What a stage returns: counts for the manifest, and which of its files carry times or other measured values."""

    counts: dict[str, Any]
    records: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    """Folders whose files have checksums elsewhere and were synced when they were written."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """sha256 of files, by name, that was taken while they were written: they are not read again."""
    passed: bool = True
    finished: bool = True
    message: str = ""


@dataclass(frozen=True)
class Stage:
    name: str
    reads: tuple[str, ...]
    """Recipe keys that determine the result, such as ``corpus`` or ``model.vocab_size``."""
    inputs: tuple[str, ...]
    run: Callable[[Context], Result]
    code: tuple[str, ...] = ()
    """The packages whose source determines the result, such as ``corpus``."""
    sources: Callable[[Context], str] | None = None
    """A hash of what the stage reads from outside the workspace."""
    functions: Callable[[Context], str] | None = None
    """A hash of the source of a library user's own functions; empty without any."""
    distributed: bool = False
    """Whether the ranks of torchrun compute it together."""
    protect_partial_work: bool = False
    """Whether unfinished work is worth so much that a changed recipe must not begin anew in silence."""


@dataclass(frozen=True)
class Outcome:
    stage: str
    skipped: bool
    result: Result
    manifest: StageManifest | None
    """None when the stage did not finish, or another process publishes it."""


def run_stage(stage: Stage, context: Context, *, force: bool = False, begin_again: bool = False) -> Outcome:
    """Run ``stage`` unless its published folder is what it would compute. Sets the context's folder and inputs.

    ``force``: compute it even then. ``begin_again``: leave unfinished work that was begun with other settings, and
    begin.
    """
    workspace = context.workspace
    wanted = wanted_of(stage, context, force=force)
    fingerprint = json_digest(wanted)
    # Computed again it is moved aside, so only then does it not matter what it was.
    published = None if force else up_to_date(stage, context)
    if published is not None:
        return Outcome(stage.name, True, Result(published.counts, passed=published.passed), published)
    if wanted["inputs"].get(FUNCTIONS) and not _functions(stage, context):
        raise InputError(
            f"{workspace / stage.name} was made with functions of a Python program and is out of date: run that "
            f"program again, or go on without them: altiplano {command_of(stage.name)} --force"
        )

    if "RANK" in os.environ and not stage.distributed:
        raise InputError(
            f"{stage.name} is not up to date, and torchrun is for training: "
            f"first run altiplano {command_of(stage.name)} without torchrun"
        )
    folder = work_folder(stage, workspace, wanted)
    if stage.protect_partial_work and is_publisher():
        begin(stage.name, folder, wanted, context.allow, begin_again=force or begin_again)
    elif stage.protect_partial_work:
        wait_until_begun(folder)
    folder.mkdir(parents=True, exist_ok=True)
    started, clock = datetime.now(UTC), time.monotonic()
    begin_peak()
    children = _largest_child()
    inputs = {name: workspace / name for name in stage.inputs}
    for name in stage.inputs:
        check_result(workspace, name)
    result = stage.run(replace(context, folder=folder, inputs=inputs))
    if not result.finished or not is_publisher():
        return Outcome(stage.name, False, result, None)
    measured = StageMeasurements(
        started=started.isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_seconds=round(time.monotonic() - clock, 3),
        peak_memory_bytes=_peak_memory(children),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    )
    remove_temporaries(folder)  # of processes that were killed on the way
    manifest = _describe(folder, wanted, fingerprint, result, measured)
    _publish(folder, workspace, stage.name, manifest, result)
    return Outcome(stage.name, False, result, manifest)


def work_folder(stage: Stage, workspace: Path, wanted: dict[str, Any]) -> Path:
    """Where the stage does its unfinished work on what ``wanted`` determines."""
    return workspace / ".work" / f"{stage.name}-{json_digest(wanted)[:12]}"


def up_to_date(stage: Stage, context: Context) -> StageManifest | None:
    """The manifest of the published result, if that is what the stage would compute."""
    published = _manifest_of(context.workspace, stage.name)
    wanted = published and json_digest(wanted_of(stage, context))
    return published if published and published.fingerprint == wanted else None


def command_of(name: str) -> str:
    """What computes a stage, after ``altiplano``."""
    return f"{MAIN} RECIPE --phase {phase_of(name)}" if is_training(name) and name != MAIN else f"{name} RECIPE"


def is_publisher() -> bool:
    """Under torchrun every rank computes; the first one publishes."""
    return os.environ.get("RANK", "0") == "0"


def read_manifest(folder: Path) -> StageManifest | None:
    """The manifest of a published stage folder; None when there is none. Raises as ``StageManifest.read``."""
    try:
        return StageManifest.read(folder / MANIFEST)
    except FileNotFoundError:
        return None


def _manifest_of(workspace: Path, name: str) -> StageManifest | None:
    """As ``read_manifest``. Raises InputError when it is damaged: to compute a stage again may take months."""
    try:
        return read_manifest(workspace / name)
    except Damaged as error:
        raise InputError(
            f"{workspace / name}: {error}; altiplano {command_of(name)} --force computes it again"
        ) from error


def differing(folder: Path, manifest: StageManifest, *, deep: bool = False) -> Iterator[str]:
    """Files that are missing or not what the stage wrote: by their size and blocks of them, or by every byte. Raises
    OSError for one that is there and cannot be read."""
    for name, written in (manifest.outputs if deep else manifest.samples).items():
        try:
            found = digest(folder / name) if deep else sampled_digest(folder / name)
        except FileNotFoundError:
            yield f"{name} is missing"
            continue
        if found != written:
            yield f"{name} is not what {manifest.stage} wrote (sha256 differs)"


def check_result(workspace: Path, name: str, *, deep: bool = False) -> None:
    """Raise InputError when a published result is not what was written: whatever uses it would only spread it."""
    manifest = _manifest_of(workspace, name)
    for problem in differing(workspace / name, manifest, deep=deep) if manifest is not None else ():
        raise InputError(
            f"{workspace / name}: {problem}: bring it back from a copy, or compute it again: "
            f"altiplano {command_of(name)} --force"
        )


def recipe_values(recipe: Recipe, keys: tuple[str, ...]) -> dict[str, Any]:
    """The values of the given recipe keys, as plain JSON. Where the corpus lies does not matter, what is in it does."""
    values = recipe.model_dump(mode="json")
    values["corpus"].pop("root")
    chosen = {}
    for key in keys:
        value = values
        for part in key.split("."):
            value = value[part]
        chosen[key] = value
    return chosen


def _sources(stage: Stage, context: Context, before: str) -> str:
    """A hash of what the stage reads from outside the workspace. ``before``: of what the published result was made of,
    if it was made as it would be now: raw files need not be where devices are."""
    if stage.sources is None:
        return ""
    if before and is_rank() and not stage.distributed:  # prepared before; listing it again would keep all ranks waiting
        return before
    try:
        return stage.sources(context)
    except RawFilesMissing as error:
        if not before:
            raise
        print(f"note: {error}; what {stage.name} made of the files before is taken as it is", file=sys.stderr)
        return before


def _functions(stage: Stage, context: Context) -> str:
    return stage.functions(context) if stage.functions is not None else ""


def wanted_of(stage: Stage, context: Context, force: bool = False) -> dict[str, Any]:
    """All that determines the stage's result. Raises InputError when an earlier stage has not been run.

    A result that was made with a library user's functions is not out of date because a command does not have them.
    """
    version, recipe = code_version(stage.code), recipe_values(context.recipe, stage.reads)
    # Computed again it does not matter what it was, nor whether that can be read.
    published = None if force else _manifest_of(context.workspace, stage.name)
    is_like = published is not None and (published.version, published.recipe) == (version, recipe)
    before = published.inputs if published is not None and is_like else {}
    inputs = {}
    for name in stage.inputs:
        manifest = _manifest_of(context.workspace, name)
        if manifest is None and name not in before:
            raise InputError(f"{stage.name} needs {name}, which has not been run: altiplano {command_of(name)}")
        # Without a manifest the result was brought here without what it was made from.
        inputs[name] = manifest.hash if manifest is not None else before[name]
    if made := _sources(stage, context, before.get("sources", "")):
        inputs["sources"] = made
    functions = _functions(stage, context)
    if not functions and stage.functions is not None and not force:
        functions = published.inputs.get(FUNCTIONS, "") if published else ""
    if functions:
        inputs[FUNCTIONS] = functions
    return {
        "stage": stage.name,
        "version": version,
        "recipe": recipe,
        "inputs": inputs,
    }


@cache
def code_version(packages: tuple[str, ...]) -> str:
    """The version; in a checkout, where code changes without it, followed by a hash of the packages' files."""
    root = Path(__file__).parents[1]
    if not packages or not (root.parents[1] / "pyproject.toml").exists():
        return __version__
    found = hashlib.sha256()
    for package in packages:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"{path.relative_to(root)}\0{digest(path)}\0".encode())
    return f"{__version__}+{found.hexdigest()[:12]}"


def _describe(
    folder: Path, wanted: dict[str, Any], fingerprint: str, result: Result, measured: StageMeasurements
) -> StageManifest:
    listed = {_name(path, folder): path for path in _listed(folder, result) if path.is_file()}
    files = {name: result.digests.get(name) or digest(path) for name, path in listed.items()}
    files.pop(MANIFEST, None)
    records = {name: files.pop(name) for name in list(files) if name.startswith(result.records)}
    samples = {name: sampled_digest(folder / name) for name in files}
    determined = wanted | {"outputs": files, "counts": result.counts, "passed": result.passed}
    return StageManifest(
        **determined,
        hash=json_digest(determined),
        samples=samples,
        fingerprint=fingerprint,
        records=records,
        measured=measured,
    )


def _listed(folder: Path, result: Result) -> list[Path]:
    return [path for path in all_in(folder) if not (_name(path, folder) + "/").startswith(result.unlisted)]


def _name(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder))


def _publish(folder: Path, workspace: Path, name: str, manifest: StageManifest, result: Result) -> None:
    manifest.write(folder / MANIFEST)
    for path in [*_listed(folder, result), folder]:
        sync(path)
    final = workspace / name
    if final.exists():
        try:
            old = read_manifest(final)
        except (OSError, Damaged, InputError):
            old = None
        of = old.hash[:12] if old is not None else "unreadable"
        # Never deleted: a trained model may be the work of months.
        aside = workspace / ".superseded"
        aside.mkdir(exist_ok=True)
        places = (aside / f"{name}-{of}{suffix}" for suffix in chain([""], (f".{n}" for n in count(2))))
        final.rename(next(place for place in places if not place.exists()))
    folder.rename(final)
    sync(workspace)


def _peak_memory(children_before: int) -> int:
    """Peak resident bytes of this process and its workers, or of another child if a larger one came since."""
    children = _largest_child()
    return max(highest_peak(), children) if children > children_before else highest_peak()


def _largest_child() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
