"""At which optimizer steps a run reads a token: the order of its samples, inverted."""

import json
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.errors import InputError
from altiplano.recipe.batch import BatchConfig, MixturePhase
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import MAIN, trainings
from altiplano.records import StageManifest
from altiplano.records.stage import work_folders
from altiplano.storage import ABSENT, read_if_there, read_lines, read_object
from altiplano.tokens.shards import read_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.tokens.training_data import TrainingData
from altiplano.trace.index import Place
from altiplano.training.skips import Skips

TAIL = 1 << 16
"""Bytes at the end of ``metrics.jsonl`` that are read for its last line."""


@dataclass(frozen=True)
class Steps:
    """Optimizer steps, counted from 1 as in ``metrics.jsonl``, that read a piece of text; together all of the run's."""

    trained: list[int]
    """Taken, and the weights changed."""
    planned: list[int]
    """Still to come."""
    without_update: list[int]
    """Taken, without a change of the weights: loss or gradient was no number."""
    left_out: int
    """Samples with the text that training leaves out after a spike of the loss."""


@dataclass(frozen=True)
class _Settings:
    """What determines the order, and how far training is."""

    values: dict[str, Any]
    """Of the recipe: seed, batch and mixture."""
    folder: Path | None
    done: int
    pretrained: bool


class TrainingOrder:
    """Of one run, its trainings (phases) one after another. ``note`` says why the steps are not known; then
    ``steps_of`` may not be asked."""

    def __init__(self, run: Path):
        self.done, self.total, self.note, self.pretrained = 0, 0, "", False
        self.parts: list[_Part] = []
        try:
            found = [_settings(run, stage, recipe) for stage, recipe in _trainings(run)]
            self.parts = [_Part(run, settings) for settings in found]
        except (InputError, KeyError, ValueError) as error:
            self.note = " ".join(str(error).split())
            return
        self.done, self.total = sum(one.done for one in self.parts), sum(one.total for one in self.parts)
        self.pretrained = found[0].pretrained

    @property
    def data(self) -> TrainingData:
        """The order of the first training."""
        return self.parts[0].data

    def steps_of(self, places: Sequence[Place]) -> Steps:
        """The steps that predict a token of any of the places, each once; they are counted on over all trainings."""
        found, before = Steps([], [], [], 0), 0
        for part in self.parts:
            steps = part.steps_of(places)
            found = Steps(
                found.trained + [before + step for step in steps.trained],
                found.planned + [before + step for step in steps.planned],
                found.without_update + [before + step for step in steps.without_update],
                found.left_out + steps.left_out,
            )
            before += part.total
        return found


class _Part:
    """One training of a run."""

    def __init__(self, run: Path, settings: _Settings):
        """Raises InputError, KeyError or ValueError where its order is not known."""
        self._batch = BatchConfig.model_validate(settings.values["batch"])
        mixture = [MixturePhase.model_validate(phase) for phase in settings.values["mixture"]]
        bos = Tokenizer.load(run / "tokenize" / "tokenizer").bos
        shards = read_shards(run / "tokenize", "train")
        self.data = TrainingData(shards, self._batch.sequence_length, bos, int(settings.values["seed"]), mixture)
        self._skips = Skips.read(settings.folder) if settings.folder else Skips()
        self.done, self.total = settings.done, self._batch.steps

    def steps_of(self, places: Sequence[Place]) -> Steps:
        first = self._batch.samples(0).start
        samples = int(self._samples(self.total - 1)[-1]) + 1 if self.total else 0
        found = set[int]()
        for place in places:
            begin = self.data.shards[place.shard].begin(place.document)
            found.update(self.data.samples_of(place.shard, begin + place.first, begin + place.last, samples))
        steps = [self._step_of(sample) for sample in found if sample >= first]
        taken = sorted({step for step in steps if step is not None})
        return Steps(
            trained=[step + 1 for step in taken if step < self.done and step not in self._skips.updates],
            planned=[step + 1 for step in taken if step >= self.done],
            without_update=[step + 1 for step in taken if step < self.done and step in self._skips.updates],
            left_out=steps.count(None),
        )

    def _step_of(self, sample: int) -> int | None:
        """The step, from 0, that takes a sample; None for one that is left out."""
        step = bisect_right(range(self.total), sample, key=lambda step: int(self._samples(step)[0])) - 1
        return step if step >= 0 and sample in self._samples(step) else None

    def _samples(self, step: int) -> np.ndarray:
        return self._skips.kept(self._batch.samples(step))


def _trainings(run: Path) -> list[tuple[str, Recipe | None]]:
    """Stage and recipe of each training; of a run whose recipe cannot be read the main one."""
    try:
        return [(one.stage, one.recipe) for one in trainings(load_recipe(str(run / "recipe.toml")))]
    except InputError as error:
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, ABSENT):
            raise
        return [(MAIN, None)]


def _settings(run: Path, stage: str, recipe: Recipe | None) -> _Settings:
    """Of one of the run's trainings, finished or under way, else of its recipe. Raises InputError where the order of
    what was read is not known."""
    tokenized = _manifest(run / "tokenize")
    of_tokens = tokenized.hash if tokenized else None
    trained = _manifest(run / stage)
    if trained is not None:
        if of_tokens is not None and trained.inputs.get("tokenize") != of_tokens:
            raise InputError("training read other token shards than the run has now")
        return _checked(
            _Settings(trained.recipe, run / stage, int(trained.counts["steps"]), "sources" in trained.inputs)
        )
    for folder in sorted(
        (run / ".work").glob(work_folders(stage)), key=lambda path: path.stat().st_mtime, reverse=True
    ):
        wanted = read_if_there(folder / "wanted.json", read_object) or {}
        inputs = wanted.get("inputs", {})
        if inputs and of_tokens in (None, inputs.get("tokenize")):
            done = _last_step(folder / "metrics.jsonl")
            return _checked(_Settings(wanted["recipe"], folder, done, "sources" in inputs))
    if recipe is None:
        raise InputError(f"{run} has neither a training nor a recipe.toml that can be read")
    return _Settings(recipe.model_dump(mode="json"), None, 0, recipe.pretrained is not None)


def _checked(settings: _Settings) -> _Settings:
    assert settings.folder is not None
    for record in read_lines(settings.folder / "changes.jsonl"):
        if any(key.startswith("mixture") for key in record.get("changes", {})):
            raise InputError("the mixture was changed while training was under way")
    return settings


def _manifest(folder: Path) -> StageManifest | None:
    return read_if_there(folder / "manifest.json", StageManifest.read)


def _last_step(metrics: Path) -> int:
    """Steps taken, of the last whole line; 0 when there is none."""
    try:
        with metrics.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().split(b"\n")
    except ABSENT:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, TypeError, KeyError):
            continue
    return 0
