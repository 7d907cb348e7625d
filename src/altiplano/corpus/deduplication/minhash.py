"""Nearly the same text: MinHash signatures by Daft, and the keys of locality-sensitive hashing.

Documents whose signatures agree on all rows of a band are candidates: with 14 bands of 8 rows half of the pairs with
Jaccard similarity 0.72 are. ``edges.py`` confirms a pair only when the whole signatures agree well enough (an estimate
from 112 hashes has a standard error of 0.045).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import files
from altiplano.corpus.extras import extra
from altiplano.corpus.words import BASE, mix
from altiplano.recipe.schema import Deduplication

UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
"""Scripts without spaces between words: each character counts as a word, or such texts would be one long word."""

NOT_WORDS = r"[^\p{L}\p{M}\p{N}]+"

Signatures = NDArray[np.uint32]


def signatures(shard: Path, rows: NDArray[np.int64], settings: Deduplication) -> tuple[NDArray[np.int64], Signatures]:
    """``(rows, signatures)`` of those of the given rows of a shard that have enough words for an n-gram, ascending."""
    found, values = [np.zeros(0, np.int64)], [np.zeros((0, settings.bands * settings.rows), np.uint32)]
    before = 0
    for batch in files.read_batches(shard, ["text"]):
        here = rows[(rows >= before) & (rows < before + len(batch))]
        if len(here):
            signed, signature = sign(batch["text"].take(extra("pyarrow").array(here - before)), settings)
            found.append(here[signed])
            values.append(signature)
        before += len(batch)
    return np.concatenate(found), np.concatenate(values)


def sign(texts: Any, settings: Deduplication) -> tuple[NDArray[np.int64], Signatures]:
    """Places of those texts that have enough words, and their signatures."""
    daft = extra("daft")
    functions = extra("daft.functions")
    column = daft.col
    documents = daft.from_pydict({"place": np.arange(len(texts)), "text": texts})
    # lower case, one space between words, one between the characters of unspaced scripts
    text = functions.regexp_replace(functions.lower(column("text")), UNSPACED, " $1 ")
    text = functions.regexp_replace(text, NOT_WORDS, " ")
    documents = documents.with_column("words", functions.strip(text))
    # without a whole n-gram there is nothing to compare, and Daft gives all such texts one signature
    enough = functions.regexp_count(column("words"), " ") >= settings.ngram - 1
    signature = functions.minhash(
        column("words"), num_hashes=settings.bands * settings.rows, ngram_size=settings.ngram, hash_function="xxhash"
    )
    documents = documents.select("place", enough.alias("enough"), signature.alias("signature"))
    table = documents.sort("place").to_arrow().combine_chunks()
    if len(table) != len(texts):
        raise RuntimeError(f"Daft signed {len(table)} of {len(texts)} documents")  # copies would be missed in silence
    values = np.asarray(table["signature"].chunk(0).flatten()).astype(np.uint32).reshape(len(table), -1)
    signed = np.flatnonzero(table["enough"].to_numpy())
    return signed, values[signed]


def band_keys(values: Signatures, settings: Deduplication) -> NDArray[np.uint64]:
    """``[documents, bands]``: one 64-bit hash of the band's number and its rows."""
    bands = values.reshape(len(values), settings.bands, settings.rows).astype(np.uint64)
    keys = np.broadcast_to(mix(np.arange(1, settings.bands + 1, dtype=np.uint64)), bands.shape[:2]).copy()
    for row in range(settings.rows):
        keys = mix(keys * np.uint64(BASE) + bands[:, :, row])
    return keys
