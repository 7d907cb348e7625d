"""datatrove's DocumentTokenizer on the same tokenizer.json, without its shuffling of documents."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path


def load(way: str) -> Callable[[Path, Path], int]:
    from datatrove.data import Document

    def work(given: Path, output: Path) -> int:
        size = 0

        def documents():
            nonlocal size
            with (given / "texts.jsonl").open(encoding="utf-8") as lines:
                for record in map(json.loads, lines):
                    size += len(record["text"].encode())
                    yield Document(record["text"], record["id"])

        tokens = tokenised(documents(), given / "tokenizer.json", output.parent / "ds")
        output.write_text(json.dumps({"tokens": tokens}))
        return size

    return work


def tokenised(documents, tokenizer: Path, folder: Path) -> int:
    """How many tokens were written into ``folder``."""
    from datatrove.pipeline.tokens import DocumentTokenizer

    shutil.rmtree(folder, ignore_errors=True)
    writer = DocumentTokenizer(
        str(folder), str(tokenizer), eos_token="<|end_of_text|>", shuffle_documents=False, save_final_metadata=False
    )
    writer.run(documents, 0, 1)
    return sum(path.stat().st_size for path in folder.glob("*.ds")) // 2
