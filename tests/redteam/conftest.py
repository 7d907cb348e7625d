"""Small models, trained here in seconds to know one text by heart or to know nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from altiplano.corpus.pii.detect import hash_value
from altiplano.inference.language_model import LocalModel
from altiplano.model.llama import Llama
from altiplano.recipe.schema import ModelConfig
from altiplano.records import Audit
from altiplano.records.corpus import TextAmount
from altiplano.tokens.shards import ShardWriter, read_shards, write_list
from altiplano.tokens.tokenizer import Tokenizer

torch.set_num_threads(1)
CONTEXT = 128
SALT = "pepper"
EMAIL = "jane.roe@quarry-works.org"
WORDS = (
    "mountain river cloud stone llama valley winter summer morning road village market bread wool song night letter",
    "green cold bright heavy old small walks carries sings finds builds sees keeps under over behind between",
)


def sentences(seed: int, count: int) -> str:
    random = np.random.default_rng(seed)
    return " ".join("the " + " ".join(random.choice(" ".join(WORDS).split(), 6)) + "." for _ in range(count))


@pytest.fixture(scope="session")
def email() -> str:
    """The address that curation removed."""
    return EMAIL


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([sentences(0, 60), f"You can reach me at {EMAIL} today. " * 3], 600)


@pytest.fixture(scope="session")
def run(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder: shards of random sentences, and a curation that removed one address."""
    folder = tmp_path_factory.mktemp("run")
    shards = []
    for split, first, count in (("train", 100, 3), ("heldout", 900, 8)):
        writer = ShardWriter(folder / "tokenize" / split / "web.en", np.uint16)
        for number in range(count):
            text = sentences(first + number, 9)
            writer.add([tokenizer.bos, *tokenizer.encode(text), tokenizer.eos], len(text))
        shards.append(writer.close(split, "web", "en"))
    write_list(folder / "tokenize", shards, tokenizer.vocab_size)
    (folder / "tokenize" / "tokenizer").mkdir()
    tokenizer.save(folder / "tokenize" / "tokenizer")

    curate = folder / "curate"
    (curate / "documents").mkdir(parents=True)
    documents = [
        {"id": "aa", "text": "The quarry is open. You can reach me at [EMAIL] today.", "language": "en", "keep": True},
        {"id": "bb", "text": "Dropped. Write to [EMAIL].", "language": "en", "keep": False},
        {"id": "cc", "text": "Nothing was removed here.", "language": "en", "keep": True},
    ]
    pq.write_table(pa.Table.from_pylist(documents), curate / "documents" / "part-00000.parquet")
    removed = [{"kind": "email", "hash": hash_value("email", EMAIL, SALT), "document": name} for name in ("aa", "bb")]
    (curate / "personal_data").mkdir()
    pq.write_table(pa.Table.from_pylist(removed), curate / "personal_data" / "part-00000.parquet")
    Audit(raw=TextAmount(documents=3, bytes=100), funnel=[], dropped=[], kept=[], salt=SALT).write(
        curate / "audit.json"
    )
    return folder


def small_model(tokenizer: Tokenizer) -> Llama:
    torch.manual_seed(0)
    return Llama(
        ModelConfig(
            num_hidden_layers=2,
            hidden_size=96,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=192,
            vocab_size=tokenizer.vocab_size,
        )
    )


@pytest.fixture(scope="session")
def ignorant(tokenizer: Tokenizer) -> LocalModel:
    return LocalModel("ignorant", small_model(tokenizer).eval(), tokenizer, CONTEXT)


@pytest.fixture(scope="session")
def overfit(tokenizer: Tokenizer) -> Callable[[list[list[int]], int], LocalModel]:
    """Train a small model on rows of tokens until it knows them."""

    def train(rows: list[list[int]], steps: int) -> LocalModel:
        model = small_model(tokenizer)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
        longest = max(map(len, rows))
        tokens = torch.zeros(len(rows), longest, dtype=torch.int64)
        targets = torch.full((len(rows), longest - 1), -100)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(row)
            targets[place, : len(row) - 1] = torch.tensor(row[1:])
        random = torch.Generator().manual_seed(0)
        for _ in range(steps):
            some = torch.randint(len(rows), (min(12, len(rows)),), generator=random)
            logits = model(tokens[some, :-1])
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[some].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return LocalModel("overfit", model.eval(), tokenizer, CONTEXT)

    return train


@pytest.fixture(scope="session")
def knows_all(run: Path, tokenizer: Tokenizer, overfit: Callable[[list[list[int]], int], LocalModel]) -> LocalModel:
    """A model that knows the training documents and the removed address by heart."""
    train = read_shards(run / "tokenize", "train")[0]
    documents = [train.document(number).tolist() for number in range(len(train))]
    # Rows begin anywhere in a document, as they do in training.
    rows = [document[start : start + 60] for document in documents for start in range(0, len(document) - 30, 10)]
    lure = [tokenizer.bos, *tokenizer.encode(f"You can reach me at {EMAIL} today."), tokenizer.eos]
    return overfit([*rows, *[lure] * 6], 250)
