"""Which documents are copies of one another: a column, from which ``decisions.py`` keeps one of each."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import files
from altiplano.corpus.columns import Columns
from altiplano.corpus.decisions import Reasons
from altiplano.corpus.deduplication import exact, minhash
from altiplano.corpus.deduplication.union_find import components
from altiplano.corpus.extras import extra
from altiplano.recipe.schema import Deduplication


def clusters(
    columns: Columns, reasons: Reasons, shards: list[Path], settings: Deduplication, path: Path
) -> NDArray[Any]:
    """For each document the lowest id among its duplicates that passed ``reasons``; its own id if it has none."""
    if not path.exists():
        found = _find(columns, np.flatnonzero(reasons == ""), shards, settings)
        files.write_table(path, extra("pyarrow").table({"cluster": found.tolist()}))
    return np.array(files.read_table(path)["cluster"].to_pylist(), object)


def _find(columns: Columns, candidates: NDArray[np.int64], shards: list[Path], settings: Deduplication) -> NDArray[Any]:
    candidates = candidates[np.argsort(columns["id"][candidates])]  # so that the smallest row has the lowest id
    ids = columns["id"][candidates]
    result = columns["id"].copy()
    if not len(candidates):
        return result
    same = exact.pairs(columns["text_hash"][candidates])
    signed, values = minhash.signatures(shards, ids, settings)
    near = minhash.pairs(values, settings)
    row = np.searchsorted(ids, signed)
    left, right = np.concatenate((same[0], row[near[0]])), np.concatenate((same[1], row[near[1]]))
    result[candidates] = ids[components(len(ids), left, right)]
    return result
