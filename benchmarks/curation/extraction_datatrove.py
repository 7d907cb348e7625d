"""datatrove's reader and extractor with their defaults; only the time allowed for a page is longer (10 s, not 1 s), so
that a busy machine drops none."""

import json
from collections.abc import Callable
from pathlib import Path


def load(way: str) -> Callable[[Path, Path], int]:
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader

    def work(given: Path, output: Path) -> int:
        size = 0

        def counted(documents):
            nonlocal size
            for document in documents:
                size += len(document.text)
                yield document

        with output.open("w", encoding="utf-8") as lines:
            for document in Trafilatura(timeout=10).run(counted(WarcReader(str(given)).run())):
                lines.write(json.dumps({"id": document.id, "text": document.text}) + "\n")
        return size

    return work
