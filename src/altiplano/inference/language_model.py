"""What can be asked of a model, whatever computes it; and models of this process, loaded from folders and files."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from altiplano.errors import InputError
from altiplano.evaluation.evaluate import model_losses
from altiplano.inference.continuations import Continuation, Likelihood, score_continuations
from altiplano.inference.generate import Row, generate, rows_at_once
from altiplano.inference.gguf import SUFFIX, read_gguf
from altiplano.inference.log_probabilities import Tokens, TokenScores, score, standardised
from altiplano.model.llama import Llama
from altiplano.model.weights import load_model, sampled_hash, weights_fingerprint
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import ModelConfig
from altiplano.recipe.trainings import MAIN, trainings
from altiplano.records import AnswerCalibration, AnswerTemperature
from altiplano.storage import Damaged, read_json
from altiplano.tokens.loader import Batch
from altiplano.tokens.tokenizer import Tokenizer, adds_bos

ANSWER_CALIBRATION = "answer_calibration.json"


class LanguageModel(ABC):
    """A model and its tokenizer: what tests and benchmarks ask. In this process (``LocalModel``) or over a mesh of
    processes (``MeshModel``), which answer alike."""

    name: str
    tokenizer: Tokenizer
    context: int
    """Tokens that prompt and completion may have together."""
    temperature: float
    """For requests that name none."""
    adds_bos: bool
    """Whether the model was trained with the begin token before every document."""

    @property
    @abstractmethod
    def shape(self) -> ModelConfig: ...

    @abstractmethod
    def at(self, temperature: float) -> "LanguageModel":
        """The same, for requests at another temperature."""

    @property
    def windows_at_once(self) -> int:
        """Rows of a batch that keep it busy; 0: whatever the caller thinks."""
        return 0

    @abstractmethod
    def losses(self, batch: Batch) -> Tensor:
        """In nats [rows, sequence], 0 where nothing is predicted."""

    @abstractmethod
    def score(self, rows: Sequence[Tokens], temperature: float = 1.0) -> list[TokenScores]:
        """Log-probabilities of every row's tokens, in order."""

    @abstractmethod
    def score_continuations(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        """Of every one, in order."""

    @abstractmethod
    def standardised(self, rows: Sequence[Tokens]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each row of n tokens: log-probabilities [n - 1] of all but the first, and the same less their expectation
        under the model's own distribution at the place, divided by its standard deviation [n - 1]."""

    @abstractmethod
    def generate(self, rows: Sequence[Row]) -> None:
        """Complete all rows in place."""

    @abstractmethod
    def matrix(self, name: Literal["embed_tokens", "lm_head"]) -> Tensor:
        """Weights [vocabulary, width] in float32 on the CPU."""

    def prompt(self, text: str, room: int | None = None) -> list[int]:
        """Tokens of a prompt given as text: the beginning of a document; of a long one the last ``room``, of which the
        begin token stays the first."""
        tokens = self.tokenizer.encode(text)
        begin = (
            [self.tokenizer.bos] if self.adds_bos or not tokens else []
        )  # nothing to go on: what separated documents
        left = len(tokens) if room is None else max(0, room - len(begin))
        return [*begin, *tokens[max(0, len(tokens) - left) :]]


@dataclass(frozen=True)
class LocalModel(LanguageModel):
    """A model in this process, ready to speak, with the temperatures it was calibrated to."""

    name: str
    model: Llama
    tokenizer: Tokenizer
    context: int
    temperature: float = 1.0
    answer_temperature: AnswerTemperature | None = None
    """For probabilities of given choices, never for sampling."""
    adds_bos: bool = True

    @property
    def shape(self) -> ModelConfig:
        return self.model.shape

    def at(self, temperature: float) -> Self:
        return replace(self, temperature=temperature)

    def to(self, device: torch.device) -> Self:
        """The same, its weights moved to ``device``: it answers there."""
        self.model.to(device)
        return self

    def losses(self, batch: Batch) -> Tensor:
        return model_losses(self.model, batch)

    def score(self, rows: Sequence[Tokens], temperature: float = 1.0) -> list[TokenScores]:
        return score(self.model, rows, temperature)

    def score_continuations(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        return score_continuations(self.model, asked)

    def standardised(self, rows: Sequence[Tokens]) -> list[tuple[np.ndarray, np.ndarray]]:
        return standardised(self.model, rows)

    def generate(self, rows: Sequence[Row]) -> None:
        generate(self.model, self.tokenizer, rows, rows_at_once(self.model, rows))

    def matrix(self, name: Literal["embed_tokens", "lm_head"]) -> Tensor:
        weights: Tensor = self.model.get_submodule(name).weight  # type: ignore[assignment]
        return weights.detach().float().cpu()


def load_language_model(path: Path, dtype: torch.dtype = torch.float32, tokenizer: Path | None = None) -> LocalModel:
    """Load a model: the folder of a run, a release folder, any Hugging Face folder of a Llama model, or a GGUF file.

    ``tokenizer``: a folder that has its tokenizer.json, where the model's own has none. ``generation_config.json``
    rules the default temperature; ``calibration.json`` does where that file names none. The answer temperature is that
    of ``answer_calibration.json`` in the folder, or of ``calibration.json``. Raises InputError when it is no such
    model.
    """
    if path.suffix == SUFFIX:
        found = read_gguf(path, dtype)
        return LocalModel(path.stem, found.model, found.tokenizer, found.context, adds_bos=found.adds_bos)
    if (path / "recipe.toml").exists():
        return _of_run(path, dtype)
    if not path.exists():
        raise InputError(f"{path} does not exist: give a run, a model folder or a GGUF file")
    model = load_model(path, dtype)
    if tokenizer is None and not (path / "tokenizer.json").exists():
        raise InputError(
            f"{path} has no tokenizer.json: point to a release folder, such as runs/NAME/release, or copy the model's "
            "tokenizer.json into it"
        )
    spoken = Tokenizer.load(tokenizer or path)
    if spoken.vocab_size > model.shape.vocab_size:
        raise InputError(
            f"{tokenizer or path}/tokenizer.json does not fit: it has {spoken.vocab_size:,} tokens, the model "
            f"{model.shape.vocab_size:,}"
        )
    calibration = _read(path / "calibration.json")
    fitted = float(calibration["temperature"]) if calibration else 1.0
    answers = _answer_temperature(path, calibration)
    generation = _read(path / "generation_config.json") or {}
    temperature = float(generation.get("temperature", fitted)) if generation.get("do_sample", True) else 0.0
    context = int((_read(path / "config.json") or {}).get("max_position_embeddings", 8192))
    resolved = path.resolve()
    name = resolved.parent.name if resolved.name == "release" else resolved.name
    begins = tokenizer is not None or adds_bos(path, spoken)
    return LocalModel(name, model, spoken, context, temperature, answers, begins)


def model_fingerprint(path: Path) -> str:
    """A hash that tells the weights of models apart, of whatever ``load_language_model`` loads."""
    if path.suffix == SUFFIX:
        return sampled_hash([path])
    return weights_fingerprint(_weights_of_run(path) if (path / "recipe.toml").exists() else path)


def _of_run(run: Path, dtype: torch.dtype) -> LocalModel:
    weights = _weights_of_run(run)
    released = weights == run / "release"
    return load_language_model(weights, dtype, tokenizer=None if released else run / "tokenize" / "tokenizer")


def _weights_of_run(run: Path) -> Path:
    """The released model; before there is one, the weights of training, which the run's own tokenizer belongs to."""
    if (run / "release" / "config.json").exists():
        return run / "release"
    weights = run / _last_training(run) / "weights"
    if not weights.exists():
        raise InputError(
            f"{run} has no trained model: training has not reached its last step; go on with it, or make a model of "
            f"its newest checkpoint: altiplano checkpoint convert {run} FOLDER"
        )
    return weights


def _last_training(run: Path) -> str:
    """The stage of the run's last training that the recipe has and that is finished; the main one without any."""
    try:
        stages = [one.stage for one in trainings(load_recipe(str(run / "recipe.toml")))]
    except InputError:  # of another version
        stages = [MAIN]
    return next((stage for stage in reversed(stages) if (run / stage / "weights").exists()), MAIN)


def _answer_temperature(folder: Path, calibration: dict[str, Any] | None) -> AnswerTemperature | None:
    own = folder / ANSWER_CALIBRATION
    if own.exists():
        try:
            found = AnswerCalibration.read(own)
        except Damaged as error:
            raise InputError(f"{own} is not JSON ({error}); calibrate again, or remove it") from error
        if found.fingerprint and found.fingerprint != model_fingerprint(folder):
            raise InputError(f"{own} is of the answers of other weights ({found.model}): calibrate this model's")
        return found.answer_temperature
    fitted = (calibration or {}).get("answer_temperature")
    if fitted is None:
        return None
    try:
        return AnswerTemperature.model_validate(fitted)
    except ValueError as error:
        raise InputError(f"{folder}/calibration.json: answer_temperature is damaged; release again") from error


def _read(file: Path) -> dict[str, Any] | None:
    """A JSON object; None when there is no such file."""
    if not file.exists():
        return None
    try:
        value = read_json(file)
    except Damaged as error:
        raise InputError(f"{file} is not JSON ({error}); release the model again") from error
    if not isinstance(value, dict):
        raise InputError(f"{file} is not a JSON object; release the model again")
    return value
