"""Altiplano from Python: what ``import altiplano`` offers. Every function does what the command of its name does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from altiplano.errors import INTERRUPTED, InputError, StageFailed, TrainingError
from altiplano.inference.device import choose_device
from altiplano.inference.generate import Row, Sampling
from altiplano.inference.language_model import LanguageModel, LocalModel, load_language_model
from altiplano.optional_imports import extra
from altiplano.planning.choose_layouts import choose_layouts
from altiplano.planning.plan import Plan, make_plan
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_cluster
from altiplano.recipe.schema import OptimizerConfig, Recipe
from altiplano.recipe.trainings import MAIN, last_training
from altiplano.records import GroupScores
from altiplano.records.run_records import Records, read_records
from altiplano.stages.run import run_until
from altiplano.storage import listed
from altiplano.training.callbacks import Callback, Custom

if TYPE_CHECKING:
    import pandas

    from altiplano.corpus.extensions import Annotator, Extensions, Filter
    from altiplano.corpus.readers.read import Reader
    from altiplano.records.texts import ScoredTexts
    from altiplano.trace import Index

CHARACTERS_TO_SHOW = 60
"""Of a text in an error."""


@dataclass(frozen=True)
class Run:
    """The folder of a run, finished or not."""

    folder: Path

    @cached_property
    def records(self) -> Records:
        """What the run's files say, as typed records; None where a stage has not written its own yet."""
        return read_records(self.folder)

    @property
    def metrics(self) -> "pandas.DataFrame":
        """One row an optimizer step (``train/metrics.jsonl``): step, tokens, loss, learning_rate, mfu, …"""
        return _pandas().DataFrame([record.model_dump() for record in self.records.metrics]).set_index("step")

    @property
    def heldout(self) -> "pandas.DataFrame":
        """One row an evaluation and group (``train/heldout.jsonl``), such as ``web.en``, and the total."""
        rows = [
            {"step": record.step, "tokens_seen": record.tokens, "group": group, **scores.model_dump()}
            for record in self.records.heldout
            for group, scores in [*record.groups.items(), ("total", record.total)]
        ]
        return _pandas().DataFrame(rows).set_index(["step", "group"])

    @property
    def documents(self) -> "pandas.DataFrame":
        """One row a document of the corpus with its annotations, kept or dropped, and why; without the texts."""
        parts = listed(self.folder / "curate" / "documents", "*.parquet")
        if not parts:
            raise InputError(f"{self.folder} has no curated documents: altiplano curate RECIPE")
        names = [name for name in extra("pyarrow.parquet").read_schema(parts[0]).names if name != "text"]
        pandas = _pandas()
        return pandas.concat([pandas.read_parquet(part, columns=names) for part in parts], ignore_index=True)

    def trace_index(self, split: str = "train") -> "Index":
        """How often and where a text or a sequence of tokens stands in the training text, or in the held-out text
        (``split`` "heldout"). The index is built at the first use."""
        from altiplano.trace import build_index, open_index

        build_index(self.folder, split)
        return open_index(self.folder, split)

    def load_model(self, device: str = "") -> LocalModel:
        """The released model; before there is one, the weights of training with the run's own tokenizer. ``device`` as
        in ``altiplano.load_model``."""
        return load_language_model(self.folder).to(choose_device(device))


def _pandas() -> Any:
    return extra("pandas", "analysis", "a data frame")


def open_run(folder: Path | str) -> Run:
    """The run in ``folder``. Raises InputError when it is none."""
    run = Run(Path(folder))
    run.records  # noqa: B018  # reads it, and so complains now
    return run


def curate(
    recipe: Recipe,
    workspace: Path | str | None = None,
    *,
    engine: str = "local",
    filters: "Sequence[Filter]" = (),
    annotators: "Sequence[Annotator]" = (),
    readers: "Mapping[str, Reader] | None" = None,
) -> Run:
    """Raw files to filtered, deduplicated documents, with functions of your own beside the built-in ones.

    ``filters`` get a ``Document`` that passed the recipe's rules and return why to drop it, or None. ``annotators`` get
    a text and return further columns. ``readers``, by the ``format`` of a source, get a file and return its
    ``RawDocument`` records. They are part of what identifies the result, and run in other processes: keep them in a
    module, or guard your script with ``if __name__ == "__main__":``.
    """
    from altiplano.corpus.extensions import Extensions

    extensions = Extensions(tuple(filters), tuple(annotators), dict(readers or {}))
    given = extensions if filters or annotators or readers else None
    return _run_until("curate", recipe, workspace, engine=engine, extensions=given)


def tokenize(recipe: Recipe, workspace: Path | str | None = None) -> Run:
    """Curate the recipe's corpus unless that is up to date, then write its vocabulary and token shards."""
    return _run_until("tokenize", recipe, workspace)


def train(
    recipe: Recipe,
    workspace: Path | str | None = None,
    *,
    cluster: str | Cluster = "laptop",
    layout: str = "",
    steps: int | None = None,
    callbacks: Sequence[Callback] = (),
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    schedule: Callable[[int, int, OptimizerConfig], float] | None = None,
) -> Run:
    """Train from the newest checkpoint to the last step of the recipe and its phases, or to ``steps``; earlier stages
    run when they must.

    ``callbacks`` see every step; they must not change what is computed. ``loss`` takes logits
    [rows, tokens, vocabulary] and targets [rows, tokens] (-100 where nothing is predicted, which must lose nothing) and
    returns losses [rows, tokens]; ``schedule`` takes a step from 0, the number of steps and the recipe's [optimizer]
    and returns a learning rate. The two are part of what identifies the result. With any of the three, training runs in
    this process; on several devices start your program with torchrun.
    """
    custom = Custom(callbacks, loss, schedule) if callbacks or loss or schedule else None
    return _run_until("train", recipe, workspace, cluster=cluster, layout=layout, steps=steps, custom=custom)


def run(
    recipe: Recipe, workspace: Path | str | None = None, *, cluster: str | Cluster = "laptop", layout: str = ""
) -> Run:
    """Every stage that is not up to date, from raw files to a released model."""
    return _run_until("release", recipe, workspace, cluster=cluster, layout=layout)


def _run_until(
    last: str,
    recipe: Recipe,
    workspace: Path | str | None,
    *,
    cluster: str | Cluster = "laptop",
    layout: str = "",
    steps: int | None = None,
    custom: Custom | None = None,
    engine: str = "local",
    extensions: "Extensions | None" = None,
) -> Run:
    folder = Path(workspace) if workspace is not None else Path("runs") / recipe.name
    hardware = load_cluster(cluster) if isinstance(cluster, str) else cluster
    hardware, chosen = choose_layouts(recipe, hardware, layout)
    last = last_training(recipe).stage if last == MAIN else last
    try:
        outcomes = run_until(
            last,
            recipe,
            hardware,
            chosen,
            folder,
            stop_after=steps,
            custom=custom,
            engine=engine,
            extensions=extensions,
        )
    except StageFailed as error:  # its own process has said why
        if error.code == INTERRUPTED:
            raise KeyboardInterrupt from error
        raise TrainingError(f"training of {folder} failed with exit code {error.code}; the reason is above") from error
    failed = [one for one in outcomes if not one.result.passed]
    if failed:
        raise InputError(f"the gate of {failed[0].stage} failed: {failed[0].result.message}")
    return Run(folder)


def plan(recipe: Recipe, cluster: str | Cluster, layout: str = "", *, stack: str = "", devices: int = 0) -> Plan:
    """What training costs and whether it fits: ``plan.seconds`` a step, ``plan.fits``, ``plan.bill(plan.ettr)``, …

    Without a ``layout`` the fastest that fits; ``stack`` is the software to plan for, ``devices`` replaces the
    cluster's number. Raises InputError when nothing fits.
    """
    hardware = load_cluster(cluster) if isinstance(cluster, str) else cluster
    return make_plan(recipe, hardware, parse_layout(layout) if layout else None, stack, devices)


def load_model(folder: Path | str, device: str = "") -> LocalModel:
    """A model to generate with and to score: of a run, a release folder, any Hugging Face folder of a Llama model, or a
    GGUF file. ``device``: cpu, cuda or cuda:1; empty: the GPU when there is one."""
    return load_language_model(Path(folder)).to(choose_device(device))


def generate(
    model: LanguageModel,
    prompts: str | Sequence[str],
    *,
    max_tokens: int = 64,
    temperature: float | None = None,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
) -> list[str]:
    """The continuation of each prompt. ``temperature`` None is the model's calibrated one, 0 is greedy."""
    asked = [prompts] if isinstance(prompts, str) else list(prompts)
    sampling = Sampling(max_tokens, model.temperature if temperature is None else temperature, top_k, top_p, seed)
    rows = [Row(model.prompt(prompt), sampling) for prompt in asked]
    for prompt, row in zip(asked, rows, strict=True):
        if len(row.prompt) + max_tokens > model.context:
            raise InputError(
                f'"{prompt[:CHARACTERS_TO_SHOW]}" has {len(row.prompt):,} tokens: with max_tokens = {max_tokens:,} '
                f"that is more than the model's context of {model.context:,}"
            )
    model.generate(rows)
    return [row.text for row in rows]


def evaluate(model: LanguageModel, texts: Mapping[str, Sequence[str]], *, seed: int = 0) -> dict[str, GroupScores]:
    """Perplexity and bits per byte, with 95 % intervals over documents, of each named group of texts, and "total".

    Every token but the first of a document is predicted once, from those before it in its window of the context.
    """
    from altiplano.evaluation.evaluate import Scores

    groups = {}
    for name, documents in texts.items():
        if not any(documents):
            raise InputError(f"{name} has no text to score")
        rows = _tokens(model, [text for text in documents if text])
        windows = [_windows(row, model.context) for row in rows]
        scored = iter(model.score([window for of_row in windows for window in of_row]))
        nll = np.array([-sum(float(next(scored).logprobs.double().sum()) for _ in of_row) for of_row in windows])
        sizes = np.array([len(text.encode()) for text in documents if text])
        groups[name] = Scores(nll, np.array([len(row) - 1 for row in rows]), sizes)
    everything = groups | ({"total": Scores.merge(list(groups.values()))} if groups else {})
    return {name: one.summary(samples=1000, seed=seed) for name, one in everything.items()}


def perplexity(
    model: LanguageModel,
    texts: Mapping[str, Sequence[str]],
    *,
    window: int | None = None,
    stride: int | None = None,
) -> "dict[str, ScoredTexts]":
    """Perplexity and bits per byte of each named group of texts, as lm-evaluation-harness' rolling log-likelihood has
    them, with 95 % intervals over documents, and by place in the document.

    Every token of a text is predicted once and no end token is; ``evaluate`` scores documents as in training instead,
    end token included. ``window``: tokens seen at once, by default the model's context. ``stride``: tokens from one
    window to the next, by default ``window``. Raises InputError when they cannot be used, or a group has no text.
    """
    from altiplano.benchmarks.rolling import score_texts, summarise_texts

    groups = {}
    for name, documents in texts.items():
        told = [text for text in documents if text]
        if not told:
            raise InputError(f"{name} has no text to score")
        groups[name] = summarise_texts(score_texts(model, told, window, stride), len(documents) - len(told))
    return groups


def fit_temperature(model: LocalModel, texts: Sequence[str], *, seed: int = 0) -> float:
    """The temperature that minimises the loss of ``texts`` (Guo et al. 2017); a calibrated model has 1."""
    from altiplano.calibration.predictions import predict
    from altiplano.calibration.temperature import fit
    from altiplano.calibration.windows import Window

    rows = _tokens(model, [text for text in texts if text])
    windows = [
        Window("texts", number, window) for number, row in enumerate(rows) for window in _windows(row, model.context)
    ]
    if not windows:
        raise InputError("there is no text to fit a temperature to")
    temperature, _ = fit(predict(model.model, windows, "texts"), seed, bootstrap_samples=1)
    return temperature.value


def _tokens(model: LanguageModel, texts: Sequence[str]) -> list[np.ndarray]:
    """Documents as in training: begin of text (where the model has one), tokens, end of text."""
    return [np.array([*model.prompt(text), model.tokenizer.eos], dtype=np.int64) for text in texts]


def _windows(row: np.ndarray, context: int) -> list[np.ndarray]:
    """The row in windows of at most ``context`` tokens that overlap in one, so that no token goes unpredicted."""
    return [row[start : start + context] for start in range(0, len(row) - 1, context - 1)]
