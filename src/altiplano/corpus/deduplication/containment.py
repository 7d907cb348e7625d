"""Documents whose text is a part of a longer one: quotations, excerpts, pages cut short.

MinHash finds equal sets; a small set inside a large one has a low Jaccard similarity. Here every document keeps the
hashes of its n-grams that are below a fixed bound (a FracMinHash, Irber and others 2022): the share of one document's
that another has estimates how much of it the other contains. Candidates share such a hash; each is compared with the
longest document that has it.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import DocumentShard
from altiplano.corpus.words import U64, ngram_hashes, word_hashes
from altiplano.execution import files

ONE_IN = 16
"""N-grams for each one whose hash is kept."""

LEAST = 8
"""Hashes kept of a document below which nothing is said of it: it has about 130 words."""


def sketch_of(text: str, ngram: int) -> U64:
    """The distinct hashes that are kept, ascending."""
    hashes = ngram_hashes(word_hashes(text), ngram)
    return np.unique(hashes[hashes < np.uint64(2**64 // ONE_IN)])


def write_sketches(path: Path, texts: Iterable[str], rows: NDArray[np.int64], number: int, ngram: int) -> None:
    """Sketches of the ``rows`` of ``number`` documents: where each row's hashes begin and end, and all hashes, one file
    after another."""
    sketches = [sketch_of(text, ngram) for text in texts]
    sizes = np.zeros(number, np.int64)
    sizes[rows] = [len(sketch) for sketch in sketches]
    files.save_array(path.with_suffix(".ends.npy"), np.append(0, np.cumsum(sizes)))
    files.save_array(path, np.concatenate([np.zeros(0, np.uint64), *sketches]))


def sketch_keys(path: Path, shard: DocumentShard) -> U64:
    """[2, keys]: hashes ascending beside document numbers; documents with few hashes have none."""
    ends, hashes = np.load(path.with_suffix(".ends.npy")), np.load(path)
    sizes = np.diff(ends)
    owners = np.repeat(np.arange(shard.first, shard.first + shard.rows), sizes).astype(np.uint64)
    enough = np.repeat(sizes >= LEAST, sizes)
    order = np.argsort(hashes[enough], kind="stable")
    return np.stack((hashes[enough][order], owners[enough][order]))


class Sketches:
    """Sketches of all shards, of which only what is asked for is read."""

    def __init__(self, paths: list[Path], shards: list[DocumentShard]):
        self.starts = np.array([shard.first for shard in shards])
        self.files = [
            (np.load(path.with_suffix(".ends.npy"), mmap_mode="r"), np.load(path, mmap_mode="r")) for path in paths
        ]

    def of(self, document: int) -> U64:
        shard = int(np.searchsorted(self.starts, document, side="right")) - 1
        ends, hashes = self.files[shard]
        row = document - int(self.starts[shard])
        return np.asarray(hashes[ends[row] : ends[row + 1]])

    def sizes(self, documents: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many hashes each of the documents has."""
        shard = np.searchsorted(self.starts, documents, side="right") - 1
        found = np.zeros(len(documents), np.int64)
        for number in np.unique(shard):
            here = shard == number
            found[here] = np.diff(self.files[number][0])[documents[here] - self.starts[number]]
        return found

    def contained(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of pairs of documents [pairs, 2], how much of the second is in the first; 0 for a second with few hashes."""
        share = np.zeros(len(pairs))
        for at, (whole, part) in enumerate(pairs.tolist()):
            mine = self.of(part)
            if len(mine) >= LEAST:
                share[at] = np.isin(mine, self.of(whole), assume_unique=True).mean()
        return share
