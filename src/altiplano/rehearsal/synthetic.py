"""Token shards of any size without their bytes: real lists and headers, and files that are holes but for what is read.

Fifteen trillion tokens are 60 TB, and here some hundred MB of lists and folders. A file that is a hole has its length,
can be opened, mapped and read (zeros), and takes no room.
"""

import os
import random
from pathlib import Path

import numpy as np

from altiplano.recipe.schema import Recipe
from altiplano.records import ShardEntry, ShardList
from altiplano.tokens.encode import SHARD_TOKENS
from altiplano.tokens.shards import HEADER, MAGIC, index_size, token_dtype
from altiplano.tokens.tokenizer import Tokenizer

TOKENS_PER_DOCUMENT = 1000
"""15T tokens are 15 billion documents."""
GROUPS = 90
"""Domain × language, each with held-out text of its own."""
HELDOUT_DOCUMENTS = 10**5


def write_tokens(folder: Path, recipe: Recipe) -> int:
    """A tokenized folder of the recipe's size; the number of its shards."""
    dtype = token_dtype(recipe.model.vocab_size)
    entries = []
    shards = max(1, -(-recipe.batch.total_tokens // SHARD_TOKENS))
    for number in range(shards):
        tokens = min(SHARD_TOKENS, recipe.batch.total_tokens - number * SHARD_TOKENS)
        name = f"train/web.l{number * GROUPS // shards:02d}-{number:05d}"
        entries.append(_hole(folder, name, "train", tokens, -(-tokens // TOKENS_PER_DOCUMENT), dtype))
    for number in range(GROUPS):
        entries.append(_hole(folder, f"heldout/web.l{number:02d}", "heldout", *_heldout(), dtype))
        # As many as evaluation takes are really there, the others are holes.
        written = min(HELDOUT_DOCUMENTS, recipe.evaluation.max_tokens // TOKENS_PER_DOCUMENT + 1)
        _write_documents(folder / entries[-1].path, dtype, written)
    listed = sorted(entries, key=lambda entry: entry.path)
    ShardList(vocabulary=recipe.model.vocab_size, dtype=np.dtype(dtype).name, shards=listed).write(
        folder / "shards.json"
    )
    words = random.Random(0)
    texts = [" ".join("".join(words.choices("abcdefghij", k=4)) for _ in range(40)) for _ in range(40)]
    (folder / "tokenizer").mkdir()
    Tokenizer.train(texts, 400).save(folder / "tokenizer")
    return len(listed)


def _heldout() -> tuple[int, int]:
    return HELDOUT_DOCUMENTS * TOKENS_PER_DOCUMENT, HELDOUT_DOCUMENTS


def _hole(folder: Path, name: str, split: str, tokens: int, documents: int, dtype: type[np.generic]) -> ShardEntry:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    _sized(path.with_name(path.name + ".bin"), b"", tokens * np.dtype(dtype).itemsize)
    code = 8 if dtype is np.uint16 else 4
    header = HEADER.pack(MAGIC, 1, code, documents, documents + 1)
    _sized(path.with_name(path.name + ".idx"), header, index_size(documents))
    empty = np.lib.format.header_data_from_array_1_0(np.empty(0, np.int64)) | {"shape": (documents,)}
    with path.with_name(path.name + ".bytes.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, empty)
        file.truncate(file.tell() + 8 * documents)
    domain, _, language = path.name.partition("-")[0].partition(".")
    return ShardEntry(
        path=name,
        split=split,
        domain=domain,
        language=language,
        documents=documents,
        tokens=tokens,
        bytes=4 * tokens,
        words=tokens,
        sha256="0" * 64,
    )


def _write_documents(path: Path, dtype: type[np.generic], count: int) -> None:
    """The lengths, offsets and bytes of the first documents."""
    lengths = np.full(count, TOKENS_PER_DOCUMENT, np.int32)
    offsets = np.arange(count, dtype=np.int64) * TOKENS_PER_DOCUMENT * np.dtype(dtype).itemsize
    with path.with_name(path.name + ".idx").open("r+b") as index:
        os.pwrite(index.fileno(), lengths.tobytes(), HEADER.size)
        os.pwrite(index.fileno(), offsets.tobytes(), HEADER.size + 4 * HELDOUT_DOCUMENTS)
    sizes = np.lib.format.open_memmap(path.with_name(path.name + ".bytes.npy"), "r+")
    sizes[:count] = 4 * TOKENS_PER_DOCUMENT
    sizes.flush()


def _sized(file: Path, begins: bytes, size: int) -> None:
    with file.open("wb") as opened:
        opened.write(begins)
        opened.truncate(size)
