"""For every document that passed the filters, 64-bit keys that it shares with its copies.

Its exact keys are hashes of its text and, for web pages, of its address; its band keys come from its MinHash signature.
A document whose text is already in its shard has no other keys: those of the first one stand for it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.deduplication import minhash
from altiplano.corpus.deduplication.containment import sketch_keys, write_sketches
from altiplano.corpus.documents import Columns, DocumentShard, load_columns, texts
from altiplano.corpus.words import BASE, U64, mix
from altiplano.execution import files
from altiplano.recipe.schema import DeduplicationConfig


@dataclass(frozen=True)
class Fingerprints:
    """Files of one shard: keys ascending beside document numbers [2, keys]; ids [rows]; signatures
    [rows, hashes], zeros for a document that was dropped or has no n-gram."""

    folder: Path
    number: int

    @property
    def exact(self) -> Path:
        return self.folder / f"exact-{self.number:05d}.npy"

    @property
    def bands(self) -> Path:
        return self.folder / f"bands-{self.number:05d}.npy"

    @property
    def ids(self) -> Path:
        return self.folder / f"ids-{self.number:05d}.npy"

    @property
    def sketches(self) -> Path:
        """With ``min_containment``."""
        return self.folder / f"sketches-{self.number:05d}.npy"

    @property
    def sketch_keys(self) -> Path:
        return self.folder / f"sketch-keys-{self.number:05d}.npy"

    @property
    def signatures(self) -> Path:
        return self.folder / f"signatures-{self.number:05d}.npy"


def write_fingerprints(shard: DocumentShard, settings: DeduplicationConfig, folder: Path) -> None:
    """Write the files of one shard; the exact keys last."""
    out = Fingerprints(folder, shard.number)
    columns = load_columns(shard, ["id", "text_hash", "domain", "url_hash", "reason"])
    passed = np.flatnonzero(columns["reason"] == "")  # an earlier run's documents have its reasons
    text = text_keys(columns["text_hash"][passed])
    _, first_of_text, which = np.unique(text, return_index=True, return_inverse=True)
    first = passed[np.sort(first_of_text)]
    signed, values = minhash.signatures(shard, first, settings)
    signatures = np.zeros((shard.rows, settings.bands * settings.rows), np.uint32)
    signatures[signed] = values
    signatures[passed] = signatures[passed[first_of_text[which]]]
    files.save_array(out.signatures, signatures)
    files.save_array(out.ids, columns["id"].astype("S32"))
    keys = minhash.band_keys(values, settings)
    files.save_array(out.bands, _sorted(keys.reshape(-1), shard.first + np.repeat(signed, settings.bands)))
    if settings.min_containment:
        write_sketches(out.sketches, texts(shard, first), first, shard.rows, settings.ngram)
        files.save_array(out.sketch_keys, sketch_keys(out.sketches, shard))
    exact, owners = [text], [passed]
    if settings.urls:
        pages, addresses = url_keys(columns, first)
        exact, owners = [*exact, addresses], [*owners, pages]
    files.save_array(out.exact, _sorted(np.concatenate(exact), shard.first + np.concatenate(owners)))


def text_keys(hashes: NDArray[np.object_]) -> U64:
    return np.array([int(value[:16], 16) for value in hashes], np.uint64)


def url_keys(columns: Columns, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], U64]:
    """Rows of web pages with an address, and its hash."""
    pages = rows[(columns["domain"][rows] == "web") & (columns["url_hash"][rows] != "")]
    return pages, mix(text_keys(columns["url_hash"][pages]) * np.uint64(BASE) + np.uint64(1))


def _sorted(keys: U64, documents: NDArray[np.int64]) -> U64:
    order = np.lexsort((documents, keys))
    return np.stack((keys[order], documents[order].astype(np.uint64)))
