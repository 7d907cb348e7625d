"""datatrove's four MinHash steps one after the other, with its defaults and xxhash, which is its faster choice."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path


def load(way: str) -> Callable[[Path, Path], int]:
    from datatrove.data import Document
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    load_word_tokenizer("eng").word_tokenize("warm up")

    def work(given: Path, output: Path) -> int:
        documents, size = [], 0
        with (given / "copies.jsonl").open(encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                size += len(record["text"].encode())
                documents.append(Document(record["text"], record["id"]))
        folder = output.parent / "minhash"
        kept = deduplicated(documents, folder)
        output.write_text("\n".join(document.id for document in kept), encoding="utf-8")
        return size

    return work


def deduplicated(documents: list, folder: Path) -> list:
    """The documents that stay; all intermediate files go into ``folder``."""
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig

    shutil.rmtree(folder, ignore_errors=True)
    signatures, buckets, removed = (str(folder / name) for name in ("signatures", "buckets", "removed"))
    config = MinhashConfig(hash_config=HashConfig(precision=64, hash_fc="xxhash"))
    MinhashDedupSignature(signatures, config=config).run(iter(documents), 0, 1)
    for bucket in range(config.num_buckets):
        MinhashDedupBuckets(signatures, buckets, config=config).run(None, bucket, config.num_buckets)
    MinhashDedupCluster(buckets, removed, config=config).run(None, 0, 1)
    return list(MinhashDedupFilter(removed).run(iter(documents), 0, 1))
