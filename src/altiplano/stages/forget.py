"""Forgetting: the weights that training would have had without some documents, from the last checkpoint before them.

Every sample that holds a token of a document is left out of the order of samples (``skips.json``), so the weights are
those of a training from step 0 whose recipe has the same ``forget``: bit for bit, on the same layout and machine.
"""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.errors import InputError
from altiplano.optional_imports import extra
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import MAIN
from altiplano.records import StepMetrics
from altiplano.records.stage import work_folders
from altiplano.stages import train
from altiplano.stages.resume import WANTED
from altiplano.stages.stage import Context, read_manifest, recipe_values, wanted_of, work_folder
from altiplano.storage import listed, read_json, remove_tree, write_json
from altiplano.tokens.encode import document_files
from altiplano.tokens.loader import TrainingData
from altiplano.tokens.shards import Shard, read_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.accounting import ledger
from altiplano.training.checkpoints import checkpoint
from altiplano.training.resilience import incidents
from altiplano.training.skips import Skips, address, leave_out_documents, place_in, samples_holding

KEPT = ("metrics.jsonl", "heldout.jsonl", incidents.FILE, "changes.jsonl", "ledger.jsonl")
"""What goes along: training drops the lines of later steps by itself."""


@dataclass(frozen=True)
class Price:
    """What forgetting documents costs."""

    documents: list[str]
    """Addresses in the token shards."""
    document_tokens: int
    samples: int
    """That training leaves out, of all its epochs."""
    sample_tokens: int
    """That they hold, of other documents, too."""
    first_step: int | None
    """The first step, from 1, that took one of them; None: none was taken so far."""
    checkpoint: int
    """Step of the newest sound checkpoint before it; 0: from the beginning."""
    steps: int
    """To be taken again."""
    of_steps: int
    seconds: float
    """That these steps took the first time, with evaluations and saves."""
    later_seconds: float
    """That the stages after training took, which follow."""
    layout: str
    """That training had: only under it are the weights bit for bit those of a training from step 0 under it."""
    devices: int

    @property
    def device_hours(self) -> float:
        return self.seconds * self.devices / 3600


@dataclass(frozen=True)
class _Training:
    """What was trained so far, finished or not."""

    folder: Path
    done: int
    skips: Skips


def find_documents(run: Path, ids: Sequence[str]) -> list[str]:
    """The addresses of curated documents, by id or its beginning, in the training shards. Raises InputError for one
    that was never trained on, with the reason, and for a beginning of several."""
    tokenized, curated = read_manifest(run / "tokenize"), read_manifest(run / "curate")
    if tokenized is None or curated is None or tokenized.inputs.get("curate") != curated.hash:
        raise InputError(f"{run} has not the curated documents that were tokenized: which one is where is not known")
    parquet = extra("pyarrow.parquet")
    found, places = dict[str, str](), dict[str, tuple[str, int]]()
    seen = Counter[str]()
    for file in document_files(run / "curate"):
        table = parquet.read_table(file, columns=["id", "domain", "language", "split"])
        columns = {name: np.array(table[name].to_pylist(), object) for name in table.column_names}
        names = columns["domain"] + "." + columns["language"]
        training = columns["split"] == "train"
        for one in ids:
            for row in np.flatnonzero(np.char.startswith(columns["id"].astype(str), one)):
                whole, name = columns["id"][row], names[row]
                if found.setdefault(one, whole) != whole:
                    raise InputError(f"several documents begin with {one}, such as {found[one]} and {whole}")
                if not training[row]:
                    why = "held out" if columns["split"][row] else "dropped by curation"
                    raise InputError(f"{whole} is {why}: training never saw it")
                places[whole] = (name, seen[name] + int((training[:row] & (names[:row] == name)).sum()))
        seen.update(names[training].tolist())
    if missing := [one for one in ids if one not in found]:
        raise InputError(f"{run} has no document {missing[0]}: altiplano inspect {run} lists them")
    shards = read_shards(run / "tokenize", "train")
    return [_address(shards, *places[whole]) for whole in dict.fromkeys(found[one] for one in ids)]


def _address(shards: Sequence[Shard], name: str, number: int) -> str:
    """Of document ``number`` of a domain and language, counted over all its shards."""
    for shard in shards:
        if shard.name == name:
            if number < len(shard):
                return address(shard, number)
            number -= len(shard)
    raise InputError(f"{name} has fewer documents in its token shards than curation kept: tokenize again")


def price(run: Path, documents: Sequence[str], cluster: Cluster) -> Price:
    """What training without these documents (addresses) costs. Raises InputError when the run was not trained, or
    with other settings or tokens than it has now."""
    recipe = load_recipe(str(run / "recipe.toml"))
    if recipe.phases:
        raise InputError(
            f"{run}: a run with phases cannot go back to before a document: name it in forget of the recipe, and train "
            "in another --workspace"
        )
    batch = recipe.batch
    trained = _training(run, recipe)
    bos = Tokenizer.load(run / "tokenize" / "tokenizer").bos
    shards = read_shards(run / "tokenize", "train")
    data = TrainingData(shards, batch.sequence_length, bos, recipe.seed, recipe.mixture)
    places = [place_in(data.shards, document) for document in documents]
    taken = [int(trained.skips.kept(batch.samples(step))[-1]) for step in range(trained.done)]
    held = {s for place in places for s in samples_holding(data, *place, taken[-1] + 1 if taken else 0)}
    steps = sorted({int(np.searchsorted(taken, sample)) for sample in held if not trained.skips.has(sample)})
    start = _checkpoint_before(trained, steps[0]) if steps else trained.done
    after = trained.skips.before(start, batch)
    known = after.count
    leave_out_documents(after, data, [*recipe.forget, *documents], batch)
    layout = _layout(trained.folder, cluster)
    again = [one for one in StepMetrics.read_lines(trained.folder / "metrics.jsonl") if start < one.step]
    return Price(
        documents=[*documents],
        document_tokens=sum(int(data.shards[shard].lengths[number]) for shard, number in places),
        samples=after.count - known,
        sample_tokens=(after.count - known) * batch.sequence_length,
        first_step=steps[0] + 1 if steps else None,
        checkpoint=start,
        steps=trained.done - start,
        of_steps=batch.steps,
        seconds=sum(sum(one.spent.values()) or one.seconds for one in again),
        later_seconds=_later_seconds(run),
        layout=str(layout),
        devices=layout.world_size if cluster.device == "cuda" else 1,
    )


def prepare(run: Path, found: Price, cluster: Cluster, layout: Layout) -> Recipe:
    """Make the work folder from which training goes on without the documents; the recipe that says so.

    A second call, after an interruption, finds it there. Nothing of the run is changed.
    """
    recipe = load_recipe(str(run / "recipe.toml"))
    trained = _training(run, recipe)
    documents = list(dict.fromkeys([*recipe.forget, *found.documents]))
    recipe = recipe.model_copy(update={"forget": tuple(documents)})
    wanted = wanted_of(train.STAGE, Context(recipe, cluster, layout, run, run, {}))
    folder = work_folder(train.STAGE, run, wanted)
    if folder.exists():
        return recipe
    unfinished = folder.with_name(f".{folder.name}")
    remove_tree(unfinished)
    (unfinished / "checkpoints").mkdir(parents=True)
    for name in KEPT:
        if (trained.folder / name).exists():
            shutil.copyfile(trained.folder / name, unfinished / name)
    for saved in checkpoint.saved(trained.folder / "checkpoints"):
        if checkpoint.step_of(saved) <= found.checkpoint:
            shutil.copytree(saved, unfinished / "checkpoints" / saved.name, copy_function=link)
    trained.skips.before(found.checkpoint, recipe.batch).write(unfinished)
    ledger.note(unfinished / "ledger.jsonl", "rollback", step=found.checkpoint)
    incidents.record(
        unfinished,
        "forget",
        f"{len(found.documents)} documents are to be forgotten: {', '.join(found.documents)}",
        f"went back to step {found.checkpoint:,}; {found.samples:,} samples that hold them are left out",
        step=found.first_step,
    )
    write_json(unfinished / WANTED, wanted)
    unfinished.rename(folder)
    return recipe


def link(source: str, target: str) -> None:
    """A checkpoint's files never change: a second name for each, where the disk has such."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _training(run: Path, recipe: Recipe) -> _Training:
    """Raises InputError unless it was of this recipe and these tokens."""
    tokenized, published = read_manifest(run / "tokenize"), read_manifest(run / "train")
    values = recipe_values(recipe, train.READS)
    if published is not None:
        of: dict[str, Any] = {"recipe": published.recipe, "inputs": published.inputs}
        folder, done = run / "train", int(published.counts["steps"])
    else:
        begun = [path for path in listed(run / ".work", work_folders(MAIN)) if (path / WANTED).exists()]
        if not begun:
            raise InputError(f"{run} has trained nothing: there is nothing to forget")
        folder = max(begun, key=lambda path: (path / WANTED).stat().st_mtime)
        of = read_json(folder / WANTED)
        lines = StepMetrics.read_lines(folder / "metrics.jsonl")
        done = lines[-1].step if lines else 0
    # a key that the recipe of then had not is one that has been added since
    changed = [key for key, value in values.items() if of["recipe"].get(key, value) != value]
    if changed or tokenized is None or of["inputs"].get("tokenize") != tokenized.hash:
        what = f"another {changed[0]} than {run / 'recipe.toml'} has" if changed else "other token shards"
        raise InputError(f"{folder} was trained with {what}: bring it up to date first")
    return _Training(folder, done, Skips.read(folder))


def _layout(folder: Path, cluster: Cluster) -> Layout:
    """Of the last session of training; the cluster's where that is not known."""
    stated = [event.layout for event in ledger.read(folder / "ledger.jsonl") if event.layout]
    return parse_layout(stated[-1]) if stated else cluster.layout


def _checkpoint_before(trained: _Training, step: int) -> int:
    """The newest sound checkpoint that has not taken ``step``, from 0; 0 when there is none."""
    for saved in checkpoint.saved(trained.folder / "checkpoints"):
        if checkpoint.step_of(saved) <= step and not checkpoint.check(saved).problem:
            return checkpoint.step_of(saved)
    return 0


def _later_seconds(run: Path) -> float:
    manifests = [read_manifest(run / name) for name in ("evaluate", "calibrate", "redteam", "release")]
    return sum(one.measured.wall_seconds or 0.0 for one in manifests if one is not None and one.measured is not None)
