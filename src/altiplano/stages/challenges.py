"""Challenges to a run: parts of it computed again, drawn at random after it was published, and compared.

Whoever made a run cannot know which parts an auditor will draw, so a run of which a share ``f`` is not what its recipe
gives is caught by ``n`` challenges of that kind with a chance of 1 - (1 - f)^n. Files against manifests, of many a
sample, and the last steps against the final weights are looked at in any case.
"""

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.execution.local import Processes
from altiplano.execution.map_shards import map_shards
from altiplano.optional_imports import extra
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import Training, layout_of, trainings
from altiplano.recipe.units import human_bytes
from altiplano.records import StageManifest, StepMetrics
from altiplano.records.benchmarks import IN_EVALUATE
from altiplano.stages import train
from altiplano.stages.forget import find_documents, link
from altiplano.stages.run import stages_of
from altiplano.stages.stage import FUNCTIONS, Context, differing, read_manifest
from altiplano.storage import Damaged, digest, json_digest
from altiplano.tokens.encode import document_files
from altiplano.tokens.shards import read_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints import checkpoint, loading
from altiplano.training.skips import Skips, place_in

CLOSE = 1e-4
"""Nats: two machines sum in another order. Training is compared bit for bit, on the same kind of machine."""
CLOSE_IN_BFLOAT16 = 0.05
"""The same of scores that ranks computed in bfloat16; here they are computed in float32."""
READ_BYTES = 1 << 36
"""Of a run's files that are read whole: those of 15T tokens would take most of a day."""
TRIES = 100
"""Files that are drawn until one has a training document."""


@dataclass(frozen=True)
class Challenge:
    """A part of a run that was computed again."""

    kind: str
    """files, curation, tokens, training or scores"""
    what: str
    passed: bool
    problem: str = ""


Outcome = tuple[str, str]
"""What was computed again, and how it differs: empty when it does not."""


class Auditor:
    """Draws and takes challenges; the same ``seed`` draws the same ones."""

    def __init__(
        self, run: Path, cluster: Cluster, corpus: Path | None, seed: int, steps: int, read_bytes: int = READ_BYTES
    ):
        """``corpus``: the folder with the raw files; None: curation is not challenged. ``steps``: that a training
        challenge takes again. ``read_bytes``: of files that are read whole. Raises InputError when ``run`` is no
        finished training."""
        self.run, self.cluster, self.steps, self.read_bytes = run, cluster, steps, read_bytes
        if not (run / "recipe.toml").exists() or not (run / "train" / "manifest.json").exists():
            raise InputError(f"{run} is no run with a finished training")
        self.recipe: Recipe = load_recipe(str(run / "recipe.toml"))
        if corpus is not None:
            self.recipe = self.recipe.model_copy(
                update={"corpus": self.recipe.corpus.model_copy(update={"root": corpus})}
            )
        self.random, self.random_files = np.random.default_rng(seed), np.random.default_rng([seed, 1])
        self.kinds: dict[str, Callable[[], Outcome]] = {"tokens": self.tokens}
        self.left_out: dict[str, str] = {}
        """Kinds that are not challenged, and why."""
        raw = "" if corpus else "name the raw files with --corpus"
        evaluated = "" if (run / "evaluate" / "manifest.json").exists() else "nothing was evaluated"
        challenges: dict[str, tuple[Callable[[], Outcome], str]] = {
            "training": (self.training, self._own_functions("train")),
            "curation": (self.curation, self._own_functions("curate") or raw),
            "scores": (self.scores, evaluated),
        }
        for kind, (challenge, why_not) in challenges.items():
            if why_not:
                self.left_out[kind] = why_not
            else:
                self.kinds[kind] = challenge

    def take(self, count: int) -> Iterator[Challenge]:
        """Files and the last steps, then ``count`` challenges of kinds drawn at random."""
        yield self.judged("files", self.files)
        if "training" in self.kinds:
            yield self.judged("training", self.last_steps)
        for _ in range(count):
            kind = [*self.kinds][int(self.random.integers(len(self.kinds)))]
            yield self.judged(kind, self.kinds[kind])

    def _own_functions(self, stage: str) -> str:
        manifest = read_manifest(self.run / stage)
        own = manifest is not None and FUNCTIONS in manifest.inputs
        return "it ran functions of a Python program, which are not here" if own else ""

    def judged(self, kind: str, challenge: Callable[[], Outcome]) -> Challenge:
        try:
            what, problem = challenge()
        except (InputError, Damaged, OSError, ValueError, KeyError) as error:
            what, problem = "could not be computed again", " ".join(str(error).split())
        return Challenge(kind, what, not problem, problem)

    def files(self) -> Outcome:
        """Each stage's manifest against itself and those that it was made from; of every file its size and some blocks,
        and as many files as ``read_bytes`` allows, drawn at random, whole."""
        hashes, written, sizes = dict[str, str](), list[tuple[str, str]](), list[int]()
        for stage, _ in stages_of(self.recipe):
            folder = self.run / stage.name
            manifest = read_manifest(folder)
            if manifest is None:
                continue
            if (stated := json_digest(_determined(manifest))) != manifest.hash:
                return "manifests", f"{stage.name}: its hash is {manifest.hash[:12]}, that of its values {stated[:12]}"
            for name, hashed in manifest.inputs.items():
                if name in hashes and hashes[name] != hashed:
                    return "manifests", f"{stage.name} was made from another {name}"
            for problem in differing(folder, manifest):
                return "sizes and blocks of files", f"{stage.name}/{problem}"
            for name, hashed in (manifest.outputs | manifest.records).items():
                if not (folder / name).exists():
                    return "files", f"{stage.name}/{name} is missing"
                written.append((f"{stage.name}/{name}", hashed))
                sizes.append((folder / name).stat().st_size)
            hashes[stage.name] = manifest.hash
        count = read = 0
        for at in self.random_files.permutation(len(written)):
            if read >= self.read_bytes:
                break
            name, hashed = written[at]
            count, read = count + 1, read + sizes[at]
            if digest(self.run / name) != hashed:
                return f"{count:,} files", f"{name} is not what was written"
        if count == len(written):
            return f"{count:,} files of {len(hashes)} stages", ""
        some = f"{count:,} of {len(written):,} files of {len(hashes)} stages, drawn at random"
        return f"{some}, {human_bytes(read)} of {human_bytes(sum(sizes))}; of all others sizes and some blocks", ""

    def tokens(self) -> Outcome:
        """A training document, encoded again."""
        document, text = self._drawn()
        (address,) = find_documents(self.run, [document])
        shards = read_shards(self.run / "tokenize", "train")
        shard, number = place_in(shards, address)
        tokenizer = Tokenizer.load(self.run / "tokenize" / "tokenizer")
        tokens = [tokenizer.bos, *tokenizer.encode(text), tokenizer.eos]
        same = shards[shard].document(number).tolist() == tokens
        return f"document {document[:12]}, {len(tokens):,} tokens", "" if same else "its tokens are others"

    def _drawn(self) -> tuple[str, str]:
        """Id and text of a training document: a file by its rows, then a row."""
        parquet = extra("pyarrow.parquet")
        paths, rows = self._documents
        for _ in range(TRIES):
            path = paths[int(self.random.choice(len(paths), p=rows / rows.sum()))]
            table = parquet.read_table(path, columns=["id", "split"])
            training = np.flatnonzero([split == "train" for split in table["split"].to_pylist()])
            if len(training):
                row = files.read_row(path, int(training[self.random.integers(len(training))]), ["id", "text"])
                return str(row["id"]), str(row["text"])
        raise InputError(f"{self.run / 'curate'} has hardly any training documents")

    @cached_property
    def _documents(self) -> tuple[list[Path], np.ndarray]:
        """Files of documents, and rows of each: every file is opened, once."""
        parquet = extra("pyarrow.parquet")
        paths = document_files(self.run / "curate")
        return paths, np.array([parquet.read_metadata(path).num_rows for path in paths], dtype=np.float64)

    def curation(self) -> Outcome:
        """One shard of raw files, read, extracted and annotated again: the same documents with the same texts, but for
        repeated text that only the whole corpus shows."""
        from altiplano.corpus.annotate import annotate_shard, counts_path, shard_path, skip_shard
        from altiplano.corpus.extensions import Extensions
        from altiplano.corpus.pii.detect import salt_of
        from altiplano.corpus.readers.listing import plan

        corpus = self.recipe.corpus
        if any(source.robots for source in corpus.sources):
            raise InputError("with robots.txt a shard depends on all others: curate the whole corpus and compare")
        tasks = plan(corpus)
        task = tasks[int(self.random.integers(len(tasks)))]
        with tempfile.TemporaryDirectory() as name, closing(Processes(1)) as processes:
            # as curation does it: a document that ends the process at work on it is left out
            at: dict[str, Any] = {"folder": Path(name), "extensions": Extensions()}
            map_shards(
                "reading",
                partial(annotate_shard, corpus=corpus, salt=salt_of(self.recipe.seed), run=time.time_ns(), **at),
                [task],
                lambda one: counts_path(Path(name), one.number),
                lambda one: one.size,
                processes,
                partial(skip_shard, **at),
            )
            again = _texts(shard_path(Path(name), task.number))
        published = _texts(self.run / "curate" / "documents" / f"part-{task.number:05d}.parquet")
        what = f"shard {task.number:,} of {task.source.name}, {len(again):,} documents"
        if again.keys() != published.keys():
            return what, f"{len(again.keys() ^ published.keys()):,} documents are in one and not in the other"
        settings = corpus.deduplication
        may_be_shorter = bool(settings.max_line_repeats or settings.min_repeat_bytes)
        changed = [
            one
            for one, text in again.items()
            if text != published[one] and not (may_be_shorter and _is_part_of(published[one], text))
        ]
        return what, f"document {changed[0]} has another text" if changed else ""

    def training(self) -> Outcome:
        """Some steps after a kept checkpoint, drawn at random, of a training drawn at random."""
        number = int(self.random.integers(len(self.trainings))) if len(self.trainings) > 1 else 0
        training = self.trainings[number]
        kept = [0, *sorted(map(checkpoint.step_of, checkpoint.saved(self._checkpoints(training))))]
        starts = [step for step in kept if step < training.recipe.batch.steps]
        return self._replay(number, starts[int(self.random.integers(len(starts)))], self.steps)

    def last_steps(self) -> Outcome:
        """From the newest kept checkpoint before the end to the final weights, where there is one."""
        number, last = len(self.trainings) - 1, self.trainings[-1]
        kept = map(checkpoint.step_of, checkpoint.saved(self._checkpoints(last)))
        # of averaged weights all checkpoints are made again
        earlier = [step for step in kept if step < last.recipe.averaged[0]]
        if not earlier and number:  # a phase begins with a checkpoint that is kept
            earlier = [0]
        if not earlier:
            return "the last steps: no checkpoint before the end is kept (checkpoint.retain_steps)", ""
        return self._replay(number, max(earlier), last.recipe.batch.steps)

    @cached_property
    def trainings(self) -> tuple[Training, ...]:
        return trainings(self.recipe)

    def _checkpoints(self, training: Training) -> Path:
        return self.run / training.stage / "checkpoints"

    def _replay(self, number: int, first: int, count: int) -> Outcome:
        """Of training ``number``, from 0, steps ``first`` + 1 … as they were taken, by the layout that took them:
        losses and gradient norms, and the weights where a checkpoint of the last of them is kept."""
        training = self.trainings[number]
        recipe, published, checkpoints = training.recipe, self.run / training.stage, self._checkpoints(training)
        last = min(first + count, recipe.batch.steps)
        ends = sorted(map(checkpoint.step_of, checkpoint.saved(checkpoints)))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "checkpoints").mkdir()
            layout = layout_of(training, self.cluster, self.cluster.layout)
            for step in sorted({first, *(one for one in recipe.averaged if one < first)} - {0}):
                source = checkpoint.of_step(checkpoints, step)
                shutil.copytree(source, folder / "checkpoints" / source.name, copy_function=link)
            if ends:  # training computes the same under every layout, but not the same bits
                stated = checkpoint.read_manifest(checkpoint.of_step(checkpoints, ends[-1])).layout
                layout = parse_layout(stated) if stated is not None else layout
            Skips.read(published).before(last, recipe.batch).write(folder)
            recipe = recipe.model_copy(
                update={"evaluation": recipe.evaluation.model_copy(update={"interval_steps": 10**9})}
            )
            before = self.trainings[number - 1] if number else None
            inputs = {name: self.run / name for name in train.stage_of(train.STAGE, training, before).inputs}
            context = Context(recipe, self.cluster, layout, self.run, folder, inputs)
            train.run(replace(context, stop_after=last))
            what = f"steps {first + 1:,} to {last:,}" + (f" of phase {training.phase}" if number else "")
            if problem := self._compare_steps(folder, published, first, last):
                return what, problem
            if last in ends:
                here, there = (checkpoint.of_step(path, last) for path in (folder / "checkpoints", checkpoints))
                if different := loading.different(here, there):
                    return what, f"{different} of the checkpoint of step {last:,} is another"
                what += ", and the checkpoint after them"
            final = "weights/model.safetensors"
            if last == recipe.batch.steps and digest(folder / final) != digest(published / final):
                return what, "the final weights are others"
        return what, ""

    def _compare_steps(self, folder: Path, published: Path, first: int, last: int) -> str:
        theirs = {one.step: one for one in StepMetrics.read_lines(published / "metrics.jsonl")}
        for one in StepMetrics.read_lines(folder / "metrics.jsonl"):
            if not first < one.step <= last:
                continue
            other = theirs.get(one.step)
            if other is None:
                return f"step {one.step:,} is not in metrics.jsonl"
            for name in ("loss", "gradient_norm", "learning_rate", "tokens"):
                here, there = getattr(one, name), getattr(other, name)
                if here != there and not (math.isnan(here) and math.isnan(there)):
                    return f"step {one.step:,}: {name} is {here!r}, {there!r} is stated"
        return ""

    def scores(self) -> Outcome:
        """A held-out document or a benchmark's item, scored again by the trained weights."""
        tasks = self._tasks
        number = int(self.random.integers(len(tasks) + 1))
        return self._benchmark(tasks[number]) if number < len(tasks) else self._heldout()

    @cached_property
    def _tasks(self) -> list[Any]:
        from altiplano.benchmarks.readers.read import read_all

        settings = self.recipe.evaluation
        return read_all(settings.benchmarks) if settings.benchmarks else []

    @cached_property
    def _served(self) -> Any:
        from altiplano.inference.language_model import load_language_model

        tokenizer = self.run / "tokenize" / "tokenizer"
        return load_language_model(self.run / self.trainings[-1].stage / "weights", tokenizer=tokenizer).to(
            torch.device(self.cluster.device)
        )

    @cached_property
    def _close(self) -> float:
        evaluated = read_manifest(self.run / "evaluate")
        computed = str(evaluated.counts.get("computed", "")) if evaluated else ""
        return CLOSE_IN_BFLOAT16 if computed.startswith("bfloat16") else CLOSE

    def _benchmark(self, task: Any) -> Outcome:
        from altiplano.benchmarks.asking import answer_items
        from altiplano.benchmarks.run import answers_in

        stated = {answer.item: answer for answer in answers_in(self.run / "evaluate" / IN_EVALUATE, task)}
        item = task.items[int(self.random.integers(len(task.items)))]
        (again,) = answer_items(self._served, task, [item])
        what = f"{task.name}, item {item.id}"
        if item.id not in stated:
            return what, "it has no answer"
        apart = np.abs(np.array(again.logprobs) - np.array(stated[item.id].logprobs)).max(initial=0.0)
        if apart > self._close * max(1, *again.tokens):
            return what, f"log-likelihoods are {apart:.2g} nats apart"
        # the likeliest token is another where rounding decides
        same = again.written == stated[item.id].written or self._close > CLOSE
        return what, "" if same else "what the model writes is another"

    def _heldout(self) -> Outcome:
        from altiplano.evaluation.document_scores import FILE, read_document_scores

        stated = {(one.group, one.document): one for one in read_document_scores(self.run / "evaluate" / FILE)}
        keys = [*self._again]
        key = keys[int(self.random.integers(len(keys)))]
        what = f"held-out document {key[1][:12]} of {key[0]}"
        if key not in stated:
            return what, "it has no score"
        here, there = self._again[key], stated[key]
        close = abs(here.nll - there.nll) <= self._close * max(1, here.tokens)
        return what, "" if close else f"its loss is {here.nll:.4f} nats, {there.nll:.4f} is stated"

    @cached_property
    def _again(self) -> dict[tuple[str, str], Any]:
        from altiplano.evaluation.evaluate import document_scores, score_folder

        recipe = self.recipe
        scored = score_folder(
            self.run / self.trainings[-1].stage / "weights",
            self.run / "tokenize",
            sequence=self.trainings[-1].recipe.batch.sequence_length,
            seed=recipe.seed,
            device=self.cluster.device,
        )
        return {(one.group, one.document): one for one in document_scores(scored)}


def _determined(manifest: StageManifest) -> dict[str, Any]:
    """What a manifest's hash is of."""
    names = ("stage", "version", "recipe", "inputs", "outputs", "counts", "passed")
    return {name: getattr(manifest, name) for name in names}


def _texts(file: Path) -> dict[str, str]:
    table = files.read_table(file, ["id", "text"])
    return dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))


def _is_part_of(published: str, text: str) -> bool:
    """Whether the published text is some of the characters, in their order."""
    left = iter(text)
    return all(character in left for character in published)
