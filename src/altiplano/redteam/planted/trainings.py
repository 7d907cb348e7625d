"""A small training from documents, by the project's own trainer: some tens of seconds on one core."""

import contextlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from altiplano.inference.language_model import LocalModel
from altiplano.model.weights import load_model
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.tokens.shards import Shard, ShardWriter, read_shards, token_dtype, write_list
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.job import Job
from altiplano.training.worker import run_job_here

VOCABULARY, SEQUENCE, BATCH = 1152, 128, 512
EPOCHS = 4
SETTINGS = (
    "model.num_hidden_layers=3",
    "model.hidden_size=96",
    "model.intermediate_size=256",
    f"model.vocab_size={VOCABULARY}",
    f"batch.sequence_length={SEQUENCE}",
    f"batch.tokens={BATCH}",
    "optimizer.learning_rate=4e-3",
    "optimizer.warmup_steps=20",
    "precision.compute=float32",
    "evaluation.interval_steps=1000000",
    "evaluation.max_tokens=2048",
    "evaluation.benchmarks=[]",
    "checkpoint.interval_steps=1000000",
)


@dataclass(frozen=True)
class Trained:
    """A model and the token shards that it was trained on."""

    served: LocalModel
    train: list[Shard]
    heldout: list[Shard]


def train_small(
    folder: Path, documents: Sequence[str], heldout: Sequence[str], seed: int, vocabulary_texts: Sequence[str] = ()
) -> Trained:
    """Train for ``EPOCHS`` in ``folder``. ``vocabulary_texts``: what only the tokenizer is trained on, besides."""
    tokens, run = folder / "tokenize", folder / "train"
    tokenizer = Tokenizer.train([*documents, *vocabulary_texts], VOCABULARY)
    (tokens / "tokenizer").mkdir(parents=True)
    tokenizer.save(tokens / "tokenizer")
    shards = [_write(tokens, tokenizer, split, texts) for split, texts in (("train", documents), ("heldout", heldout))]
    write_list(tokens, shards, VOCABULARY)
    total = math.ceil(EPOCHS * shards[0].tokens / BATCH) * BATCH
    recipe = load_recipe("quickstart", [*SETTINGS, f"batch.total_tokens={total}", f"seed={seed}"])
    run.mkdir()
    job = Job(recipe=recipe, layout=parse_layout("dp1"), device="cpu", tokens=tokens, folder=run)
    with contextlib.redirect_stderr(io.StringIO()):  # a bar over all trainings is shown in the place of their lines
        run_job_here(job)
    served = LocalModel("planted", load_model(run / "weights"), tokenizer, SEQUENCE)
    return Trained(served, read_shards(tokens, "train"), read_shards(tokens, "heldout"))


def _write(tokens: Path, tokenizer: Tokenizer, split: str, texts: Sequence[str]) -> Shard:
    writer = ShardWriter(tokens / split / "web.en", token_dtype(VOCABULARY))
    for text in texts:
        writer.add([tokenizer.bos, *tokenizer.encode(text), tokenizer.eos], len(text.encode()))
    return writer.close(split, "web", "en")
