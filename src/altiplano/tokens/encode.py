"""From curated documents to a tokenizer and token shards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.records import Audit
from altiplano.tokens.shards import Shard, ShardWriter, token_dtype, write_list
from altiplano.tokens.tokenizer import Tokenizer

DocumentRow = dict[str, Any]
BATCH = 512


def documents(folder: Path, split: str | None = None) -> Iterator[DocumentRow]:
    """Kept documents (text, domain, language, split, words) of a curated folder, in the order of their files."""
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError('reading documents needs pyarrow: pip install "altiplano[corpus]"') from error
    for file in sorted((folder / "documents").glob("*.parquet")):
        columns = ["text", "domain", "language", "split", "words"]
        for batch in pq.ParquetFile(file).iter_batches(batch_size=BATCH, columns=columns):
            for row in batch.to_pylist():
                if row["split"] and split in (None, row["split"]):
                    yield row


def sample_texts(folder: Path, limit: int) -> list[str]:
    """Training texts to learn the vocabulary from: each domain × language gives its share of ``limit`` bytes."""
    kept = {(k.domain, k.language): k.bytes for k in Audit.read(folder / "audit.json").kept if k.split == "train"}
    total = sum(kept.values())
    left = {group: limit * size / total for group, size in kept.items()} if total else {}
    texts = []
    for row in documents(folder, "train"):
        group = (row["domain"], row["language"])
        if left.get(group, 0) > 0:
            texts.append(row["text"])
            left[group] -= len(row["text"].encode())
    return texts


def encode_documents(source: Path, tokenizer: Tokenizer, folder: Path) -> list[Shard]:
    """Write one shard per split, domain and language into ``folder``, with ``shards.json``; return them."""
    dtype = token_dtype(tokenizer.vocab_size)
    writers: dict[tuple[str, str, str], ShardWriter] = {}
    pending: list[DocumentRow] = []

    def flush() -> None:
        for row, tokens in zip(pending, tokenizer.encode_batch([row["text"] for row in pending]), strict=True):
            key = (row["split"], row["domain"], row["language"])
            if key not in writers:
                writers[key] = ShardWriter(folder / key[0] / f"{key[1]}.{key[2]}", dtype)
            writers[key].add([tokenizer.bos, *tokens, tokenizer.eos], len(row["text"].encode()), row.get("words", 0))
        pending.clear()

    for row in documents(source):
        pending.append(row)
        if len(pending) == BATCH:
            flush()
    flush()
    shards = [writer.close(*key) for key, writer in sorted(writers.items())]
    write_list(folder, shards, tokenizer.vocab_size)
    return shards
