"""Nearly the same text: MinHash signatures by Daft, locality-sensitive hashing, and a check of each candidate pair.

Documents whose signatures agree on all rows of a band are candidates: with 14 bands of 8 rows half of the pairs with
Jaccard similarity 0.72 are. A candidate pair is confirmed only when the whole signatures agree well enough, so that
texts that merely share a passage stay (an estimate from 112 hashes has a standard error of 0.045).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.extras import extra
from altiplano.corpus.words import BASE, mix
from altiplano.recipe.schema import Deduplication

UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
"""Scripts without spaces between words: each character counts as a word, or such texts would be one long word."""

NOT_WORDS = r"[^\p{L}\p{M}\p{N}]+"

CHUNK = 1 << 16
"""Candidate pairs compared at a time, to bound memory."""

Signatures = NDArray[np.uint32]


def signatures(shards: list[Path], ids: Any, settings: Deduplication) -> tuple[NDArray[Any], Signatures]:
    """``(ids, signatures)`` of those documents in ``ids`` that have enough words for an n-gram, ordered by id."""
    daft = extra("daft")
    functions = extra("daft.functions")
    column = daft.col
    documents = daft.read_parquet([str(path) for path in shards]).select("id", "text")
    documents = documents.join(daft.from_pydict({"id": list(ids)}), on="id", how="semi")
    # lower case, one space between words, one between the characters of unspaced scripts
    text = functions.regexp_replace(functions.lower(column("text")), UNSPACED, " $1 ")
    text = functions.regexp_replace(text, NOT_WORDS, " ")
    documents = documents.with_column("words", functions.strip(text))
    # without a whole n-gram there is nothing to compare, and Daft gives all such texts one signature
    enough = functions.regexp_count(column("words"), " ") >= settings.ngram - 1
    signature = functions.minhash(
        column("words"), num_hashes=settings.bands * settings.rows, ngram_size=settings.ngram, hash_function="xxhash"
    )
    table = documents.where(enough).select("id", signature.alias("signature")).to_arrow().combine_chunks()
    if not len(table):
        return np.zeros(0, object), np.zeros((0, settings.bands * settings.rows), np.uint32)
    found = np.array(table["id"].to_pylist(), object)
    chunk = table["signature"].chunk(0)
    values = np.asarray(chunk.flatten()).astype(np.uint32).reshape(len(found), -1)
    order = np.argsort(found)
    return found[order], values[order]


def pairs(values: Signatures, settings: Deduplication) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges between rows that are near duplicates: each band's first row with its others, if confirmed."""
    if not len(values):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    daft = extra("daft")
    column = daft.col
    bands = daft.from_pydict(
        {
            "band": band_keys(values, settings).reshape(-1),  # 64-bit integers: Daft joins binary keys wrongly
            "row": np.repeat(np.arange(len(values)), settings.bands),
        }
    )
    shared = bands.groupby("band").agg(column("row").min().alias("first"), column("row").count().alias("rows"))
    shared = shared.where(column("rows") > 1).select("band", "first")
    edges = bands.join(shared, on="band").where(column("row") != column("first")).select("first", "row").distinct()
    found = edges.sort(["first", "row"]).to_pydict()
    left, right = np.array(found["first"], np.int64), np.array(found["row"], np.int64)
    alike = [
        (values[left[at : at + CHUNK]] == values[right[at : at + CHUNK]]).mean(axis=1)
        for at in range(0, len(left), CHUNK)
    ]
    confirmed = np.concatenate([np.zeros(0), *alike]) >= settings.min_similarity
    return left[confirmed], right[confirmed]


def band_keys(values: Signatures, settings: Deduplication) -> NDArray[np.uint64]:
    """``[documents, bands]``: one 64-bit hash of the band's number and its rows."""
    bands = values.reshape(len(values), settings.bands, settings.rows).astype(np.uint64)
    keys = np.broadcast_to(mix(np.arange(1, settings.bands + 1, dtype=np.uint64)), bands.shape[:2]).copy()
    for row in range(settings.rows):
        keys = mix(keys * np.uint64(BASE) + bands[:, :, row])
    return keys
