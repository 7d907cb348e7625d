"""What a model said to an item: one row of a Parquet file."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from altiplano.optional_imports import extra
from altiplano.storage import publish

ANSWERS, RESULT, SETTINGS = "answers", "benchmarks.json", "settings.json"
"""In the folder of an evaluated model."""


@dataclass(frozen=True)
class Answer:
    """An item with its choices' log-likelihoods in nats, or the text that the model wrote, and its scores."""

    task: str
    item: str
    cluster: str
    prompt: str
    choices: list[str]
    gold: int | None
    logprobs: list[float] = field(default_factory=list)
    """Of each choice, after its context."""
    tokens: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    """Characters of each choice."""
    bytes: list[int] = field(default_factory=list)
    """UTF-8 bytes of each choice."""
    greedy: list[bool] = field(default_factory=list)
    """Whether each choice is what greedy decoding would say."""
    unconditional: list[float] = field(default_factory=list)
    """Log-likelihoods of the choices without the question."""
    written: str = ""
    references: list[str] = field(default_factory=list)
    cut: int = 0
    """Tokens of the prompt's beginning that did not fit into the model's context."""
    scores: dict[str, float] = field(default_factory=dict)
    """By metric."""
    score: float = 0.0
    """By the task's metric."""

    @property
    def gold_bits(self) -> float:
        """Information of the right answer, in bits: its length in the model's code."""
        return -self.logprobs[self.gold] / math.log(2) if self.gold is not None and self.logprobs else 0.0

    @property
    def gold_bytes(self) -> int:
        return self.bytes[self.gold] if self.gold is not None and self.bytes else 0


def write_answers(file: Path, answers: Sequence[Answer]) -> None:
    """Publish the file: whole or not at all."""
    arrow, parquet = extra("pyarrow", "evaluation", "benchmarks"), extra("pyarrow.parquet", "evaluation", "benchmarks")
    table = arrow.Table.from_pylist([_row(answer) for answer in answers], schema=_schema(arrow))
    publish(file, lambda temporary: parquet.write_table(table, temporary, compression="zstd"))


def read_answers(files: Iterable[Path]) -> list[Answer]:
    """Of the files in order."""
    parquet = extra("pyarrow.parquet", "evaluation", "benchmarks")
    found = []
    for file in files:
        for row in parquet.read_table(file).to_pylist():
            found.append(Answer(**{**row, "scores": dict(row["scores"])}))
    return found


def _row(answer: Answer) -> dict[str, Any]:
    return {**asdict(answer), "scores": list(answer.scores.items())}


def _schema(arrow: Any) -> Any:
    text, number = arrow.string(), arrow.float64()
    kinds = {
        "choices": arrow.list_(text),
        "gold": arrow.int32(),
        "logprobs": arrow.list_(number),
        "tokens": arrow.list_(arrow.int32()),
        "lengths": arrow.list_(arrow.int32()),
        "bytes": arrow.list_(arrow.int32()),
        "greedy": arrow.list_(arrow.bool_()),
        "unconditional": arrow.list_(number),
        "references": arrow.list_(text),
        "cut": arrow.int32(),
        "scores": arrow.map_(text, number),
        "score": number,
    }
    return arrow.schema([(one.name, kinds.get(one.name, text)) for one in fields(Answer)])
