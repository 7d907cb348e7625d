"""Near-duplicates by MinHash: 14 bands of 8 rows over word 5-grams, the lowest of each cluster kept.

Both sides read the same JSON lines (the corpus's prose and a copy of every tenth document with one word in fifty
changed) and write the ids of what they keep. ``copies_caught`` is the share of these copies that are gone with or
without their originals.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curation import filtering

TITLE = "MinHash deduplication"
WAYS = {"altiplano": 50.0}
LIMIT = "hashing: one pass over the text, 112 minima in SIMD"
COPY = "#copy"


def prepare(corpus: Path, folder: Path) -> Path:
    given = filtering.prepare(corpus, folder)
    picks = random.Random(0)
    with (given / "copies.jsonl").open("w", encoding="utf-8") as lines:
        for number, (name, text) in enumerate(filtering.texts(given / "texts.jsonl")):
            lines.write(json.dumps({"id": name, "text": text}) + "\n")
            words = text.split(" ")
            if number % 10 == 0 and len(words) > 200:
                changed = [picks.choice(words) if at % 50 == 49 else word for at, word in enumerate(words)]
                lines.write(json.dumps({"id": name + COPY, "text": " ".join(changed)}) + "\n")
    return given


def load(way: str) -> Callable[[Path, Path], int]:
    kept_of(["warm up " * 10] * 2)

    def work(given: Path, output: Path) -> int:
        names, texts = zip(*filtering.texts(given / "copies.jsonl"), strict=True)
        kept = kept_of(list(texts))
        output.write_text("\n".join(names[row] for row in kept), encoding="utf-8")
        return sum(len(text.encode()) for text in texts)

    return work


def kept_of(texts: list[str]) -> list[int]:
    """Places of the texts that stay, by the functions that ``altiplano curate`` uses."""
    import numpy as np

    from altiplano.corpus.deduplication import edges, minhash
    from altiplano.corpus.deduplication.clusters import components
    from altiplano.recipe.schema import DeduplicationConfig

    settings = DeduplicationConfig()
    rows, values = minhash.sign(texts, settings)
    keys = minhash.band_keys(values, settings).reshape(-1)
    found = edges.pairs(np.stack((keys, np.repeat(np.arange(len(rows), dtype=np.uint64), settings.bands))))
    alike = (values[found[:, 0]] == values[found[:, 1]]).mean(axis=1) >= settings.min_similarity
    lowest = components(len(texts), *rows[found[alike].T])
    return np.flatnonzero(lowest == np.arange(len(texts))).tolist()


def judge(outputs: dict[str, Path]) -> dict[str, Any]:
    kept = {way: set(path.read_text(encoding="utf-8").split("\n")) for way, path in outputs.items()}
    return {f"kept_by_{way}": len(names) for way, names in kept.items()} | {
        f"copies_left_by_{way}": sum(name.endswith(COPY) and name.removesuffix(COPY) in names for name in names)
        for way, names in kept.items()
    }
