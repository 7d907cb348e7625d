"""datatrove's blocks of the other stages, one after the other in one process."""

import json
from collections.abc import Callable
from pathlib import Path

from curation import dedup_datatrove, filtering_datatrove, tokens_datatrove


def load(way: str) -> Callable[[Path, Path], int]:
    from datatrove.data import Document
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader

    filtered = filtering_datatrove.chain()
    dedup_datatrove.load(way)

    def work(given: Path, output: Path) -> int:
        size = 0

        def pages():
            nonlocal size
            for document in WarcReader(str(given / "web")).run():
                size += len(document.text)
                yield document

        def prose():
            nonlocal size
            with (given / "prose.jsonl").open(encoding="utf-8") as lines:
                for record in map(json.loads, lines):
                    size += len(record["text"].encode())
                    yield Document(record["text"], record["id"])

        def documents():
            yield from Trafilatura(timeout=10).run(pages())
            yield from prose()

        kept = list(filtered(documents(), given / "lid.176.ftz"))
        kept = dedup_datatrove.deduplicated(kept, output.parent / "chain-minhash")
        tokens = tokens_datatrove.tokenised(iter(kept), given / "tokenizer.json", output.parent / "chain-ds")
        output.write_text(json.dumps({"tokens": tokens, "documents": len(kept)}))
        return size

    return work
