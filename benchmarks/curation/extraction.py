"""Web archives to main text: reading, decoding and extraction, in quality and in hybrid mode.

F1 is over word 4-grams, counted with repetitions, page by page, against the quality mode's own text; two empty texts
agree. It needs no ground truth and says what the hybrid mode gives up.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

TITLE = "extraction"
WAYS = {"quality": 1.2, "hybrid": 4.0}
LIMIT = "parsing HTML: lxml alone reads about 170 MB/s a core"
GRAM = 4
MAX_LOSS = 0.01
WORD = re.compile(r"\w+")


def prepare(corpus: Path, folder: Path) -> Path:
    """The corpus's web archives, under one folder."""
    web = folder / "web"
    web.mkdir(exist_ok=True)
    for path in sorted((corpus / "web").glob("*.warc.gz")):
        link = web / path.name
        if not link.exists():
            link.symlink_to(path.resolve())
    return web


def load(way: str) -> Callable[[Path, Path], int]:
    from altiplano.corpus.extraction.html.main_text import MODES
    from altiplano.corpus.readers.raw import RawDocument
    from altiplano.corpus.readers.web_archives import warc

    text_of_html = MODES[way]
    text_of_html("<html><body><p>warm</p></body></html>")

    def work(given: Path, output: Path) -> int:
        size = 0
        with output.open("w", encoding="utf-8") as lines:
            for path in sorted(given.iterdir()):
                for page in warc.read(path, path.name):
                    if isinstance(page, RawDocument):
                        size += page.size
                        lines.write(json.dumps({"id": page.place, "text": text_of_html(page.text)}) + "\n")
        return size

    return work


def judge(outputs: dict[str, Path]) -> dict[str, Any]:
    """``hybrid_f1`` and whether its loss is acceptable."""
    if not {"quality", "hybrid"} <= set(outputs):
        return {}
    quality, hybrid = _texts(outputs["quality"]), _texts(outputs["hybrid"])
    score = fmean(f1(text, hybrid[name]) for name, text in quality.items())
    return {"pages": len(quality), "hybrid_f1": round(score, 4), "passed": 1 - score <= MAX_LOSS}


def f1(one: str, other: str) -> float:
    """Harmonic mean of precision and recall of the 4-grams; texts shorter than that count as one gram."""
    a, b = _grams(one), _grams(other)
    if not a or not b:
        return float(not a and not b)
    return 2 * sum((a & b).values()) / (sum(a.values()) + sum(b.values()))


def _grams(text: str) -> Counter[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    if len(words) < GRAM:
        return Counter([tuple(words)] if words else [])
    return Counter(zip(*(words[start:] for start in range(GRAM)), strict=False))


def _texts(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8") as lines:
        return {record["id"]: record["text"] for record in map(json.loads, lines)}
