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
from altiplano.recipe.trainings import Training, is_training, layout_of, phase_of, trainings
from altiplano.records import StepMetrics
from altiplano.records.stage import work_folders
from altiplano.stages import train
from altiplano.stages.resume import WANTED
from altiplano.stages.run import stages_of
from altiplano.stages.stage import Context, read_manifest, recipe_values, wanted_of, work_folder
from altiplano.storage import json_digest, listed, read_json, remove_tree, write_json
from altiplano.tokens.encode import document_files
from altiplano.tokens.shards import Shard, read_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.tokens.training_data import TrainingData
from altiplano.training.accounting import ledger
from altiplano.training.checkpoints import checkpoint
from altiplano.training.resilience import incidents
from altiplano.training.skips import Skips, address, leave_out_documents, place_in, samples_holding

KEPT = ("metrics.jsonl", "heldout.jsonl", incidents.FILE, "changes.jsonl", "ledger.jsonl")
"""What goes along: training drops the lines of later steps by itself."""


@dataclass(frozen=True)
class TrainingPrice:
    """What it costs in one training of a run: the main one, or a phase."""

    stage: str
    samples: int
    """That the training leaves out, of all its epochs."""
    sample_tokens: int
    """That they hold, of other documents, too."""
    first_step: int | None
    """The first step, from 1, that took one of them, or is to take other samples; None: there is none so far."""
    checkpoint: int
    """Step of the newest sound checkpoint that is still true; 0: from the beginning."""
    steps: int
    """To be taken again."""
    of_steps: int
    seconds: float
    """That these steps took the first time, with evaluations and saves."""
    layout: str
    """That training had: only under it are the weights bit for bit those of a training from step 0 under it."""
    devices: int
    begins_anew: bool
    """A phase after a training that changes: it begins with other weights, so none of its checkpoints is true."""

    @property
    def phase(self) -> str:
        return phase_of(self.stage)

    @property
    def device_hours(self) -> float:
        return self.seconds * self.devices / 3600


@dataclass(frozen=True)
class Price:
    """What forgetting documents costs."""

    documents: list[str]
    """Addresses in the token shards."""
    document_tokens: int
    trainings: list[TrainingPrice]
    """In order, as far as they have begun."""
    later_seconds: float
    """That the stages after training took, which follow."""

    @property
    def steps(self) -> int:
        """To be taken again, in all trainings."""
        return sum(one.steps for one in self.trainings)

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.trainings)

    @property
    def device_hours(self) -> float:
        return sum(one.device_hours for one in self.trainings)


@dataclass(frozen=True)
class _Trained:
    """What a training has done so far, finished or not."""

    folder: Path
    done: int
    skips: Skips
    forgotten: list[str]
    """Documents that it never saw."""
    before: str | None
    """The hash of the training before it that it began with."""


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
    """What training without these documents (addresses) costs, and without those of the run's recipe that the model has
    not forgotten yet. Raises InputError when the run was not trained, or with other settings or tokens than it has now.
    """
    recipe = load_recipe(str(run / "recipe.toml"))
    shards, bos = read_shards(run / "tokenize", "train"), Tokenizer.load(run / "tokenize" / "tokenizer").bos
    found: list[TrainingPrice] = []
    wanted = list(dict.fromkeys([*recipe.forget, *documents]))
    asked = list(documents)
    for training in trainings(recipe):
        trained = _trained(run, training, wanted)
        if trained is None:
            break
        if not found:
            asked = [one for one in wanted if one not in trained.forgotten or one in documents]
        batch = training.recipe.batch
        data = TrainingData(shards, batch.sequence_length, bos, recipe.seed, training.recipe.mixture)
        anew = bool(found) and (found[-1].steps > 0 or trained.before != _hash(run / found[-1].stage))
        found.append(_price(training, trained, wanted, data, cluster, anew))
    if not found:
        raise InputError(f"{run} has trained nothing: there is nothing to forget")
    places = [place_in(shards, document) for document in asked]
    tokens = sum(int(shards[shard].lengths[number]) for shard, number in places)
    return Price(asked, tokens, found, _later_seconds(run))


def _price(
    training: Training, trained: _Trained, documents: Sequence[str], data: TrainingData, cluster: Cluster, anew: bool
) -> TrainingPrice:
    batch = training.recipe.batch
    places = [place_in(data.shards, document) for document in documents]
    taken = [int(trained.skips.kept(batch.samples(step))[-1]) for step in range(trained.done)]
    held = {s for place in places for s in samples_holding(data, *place, taken[-1] + 1 if taken else 0)}
    unseen = [sample for sample in held if not trained.skips.has(sample)]
    # of a phase, samples before its first one, too: what is left out moves those behind it up
    step = int(np.searchsorted(taken, min(unseen))) if unseen else None
    back = trained.done if step is None else _checkpoint_before(trained, step)
    start = 0 if anew else back
    after = trained.skips.before(start, batch)
    known = after.count
    leave_out_documents(after, data, documents, batch)
    layout = _layout(trained.folder, training, cluster)
    again = [one for one in StepMetrics.read_lines(trained.folder / "metrics.jsonl") if start < one.step]
    return TrainingPrice(
        stage=training.stage,
        samples=after.count - known,
        sample_tokens=(after.count - known) * batch.sequence_length,
        first_step=None if step is None else step + 1,
        checkpoint=start,
        steps=trained.done - start,
        of_steps=batch.steps,
        seconds=sum(sum(one.spent.values()) or one.seconds for one in again),
        layout=str(layout),
        devices=layout.world_size if cluster.device == "cuda" else 1,
        begins_anew=anew,
    )


def prepare(run: Path, found: Price, part: TrainingPrice, cluster: Cluster) -> Recipe:
    """Make the work folder from which a training goes on without the documents, once the training before it is done;
    the recipe that says so.

    A second call, after an interruption, finds it there. Nothing of the run is changed.
    """
    recipe = load_recipe(str(run / "recipe.toml"))
    documents = list(dict.fromkeys([*recipe.forget, *found.documents]))
    (training,) = (one for one in trainings(recipe) if one.stage == part.stage)
    trained = _trained(run, training, documents)
    assert trained is not None  # it has a price
    recipe = recipe.model_copy(update={"forget": tuple(documents)})
    ((stage, its),) = ((stage, its) for stage, its in stages_of(recipe) if stage.name == part.stage)
    wanted = wanted_of(stage, Context(its, cluster, parse_layout(part.layout), run, run, {}))
    folder = work_folder(stage, run, wanted)
    published = read_manifest(run / part.stage)
    if folder.exists() or (published is not None and published.fingerprint == json_digest(wanted)):
        return recipe
    unfinished = folder.with_name(f".{folder.name}")
    remove_tree(unfinished)
    (unfinished / "checkpoints").mkdir(parents=True)
    for name in KEPT:
        if (trained.folder / name).exists():
            shutil.copyfile(trained.folder / name, unfinished / name)
    for saved in checkpoint.saved(trained.folder / "checkpoints") if not part.begins_anew else ():
        if checkpoint.step_of(saved) <= part.checkpoint:
            shutil.copytree(saved, unfinished / "checkpoints" / saved.name, copy_function=link)
    trained.skips.before(part.checkpoint, its.batch).write(unfinished)
    ledger.note(unfinished / "ledger.jsonl", "rollback", step=part.checkpoint)
    incidents.record(
        unfinished,
        "forget",
        f"{len(found.documents)} documents are to be forgotten: {', '.join(found.documents)}",
        f"went back to step {part.checkpoint:,}; {part.samples:,} samples that hold them are left out",
        step=part.first_step,
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


def _trained(run: Path, training: Training, documents: Sequence[str]) -> _Trained | None:
    """None before it began. Raises InputError unless it was of this recipe and these tokens; of ``documents``, which
    are to be forgotten, it may have forgotten some."""
    tokenized, published = read_manifest(run / "tokenize"), read_manifest(run / training.stage)
    values = recipe_values(training.recipe, train.READS)
    if published is not None:
        of: dict[str, Any] = {"recipe": published.recipe, "inputs": published.inputs}
        folder, done = run / training.stage, int(published.counts["steps"])
    else:
        begun = [path for path in listed(run / ".work", work_folders(training.stage)) if (path / WANTED).exists()]
        if not begun:
            return None
        folder = max(begun, key=lambda path: (path / WANTED).stat().st_mtime)
        of = read_json(folder / WANTED)
        lines = StepMetrics.read_lines(folder / "metrics.jsonl")
        done = lines[-1].step if lines else 0
    forgotten = of["recipe"].get("forget", [])
    if set(forgotten) <= set(documents):
        values = values | {"forget": forgotten}
    # a key that the recipe of then had not is one that has been added since
    changed = [key for key, value in values.items() if of["recipe"].get(key, value) != value]
    if changed or tokenized is None or of["inputs"].get("tokenize") != tokenized.hash:
        what = f"another {changed[0]} than {run / 'recipe.toml'} has" if changed else "other token shards"
        raise InputError(f"{folder} was trained with {what}: bring it up to date first")
    before = next((value for name, value in of["inputs"].items() if is_training(name)), None)
    return _Trained(folder, done, Skips.read(folder), list(forgotten), before)


def _hash(folder: Path) -> str | None:
    published = read_manifest(folder)
    return published.hash if published is not None else None


def _layout(folder: Path, training: Training, cluster: Cluster) -> Layout:
    """Of the last session of training; the cluster's where that is not known."""
    stated = [event.layout for event in ledger.read(folder / "ledger.jsonl") if event.layout]
    return parse_layout(stated[-1]) if stated else layout_of(training, cluster, cluster.layout)


def _checkpoint_before(trained: _Trained, step: int) -> int:
    """The newest sound checkpoint that has not taken ``step``, from 0; 0 when there is none."""
    for saved in checkpoint.saved(trained.folder / "checkpoints"):
        if checkpoint.step_of(saved) <= step and not checkpoint.check(saved).problem:
            return checkpoint.step_of(saved)
    return 0


def _later_seconds(run: Path) -> float:
    manifests = [read_manifest(run / name) for name in ("evaluate", "calibrate", "redteam", "release")]
    return sum(one.measured.wall_seconds or 0.0 for one in manifests if one is not None and one.measured is not None)
