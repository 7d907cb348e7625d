"""Text to token shards with the same byte-level BPE of 32,000 tokens, learnt from the corpus before."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curation import filtering

TITLE = "tokenisation"
WAYS = {"altiplano": 5.0}
LIMIT = "the merge loop of BPE, word by word"
VOCABULARY = 32_000


def prepare(corpus: Path, folder: Path) -> Path:
    from altiplano.tokens.tokenizer import Tokenizer

    given = filtering.prepare(corpus, folder)
    texts = [text for _, text in filtering.texts(given / "texts.jsonl")]
    Tokenizer.train(texts, VOCABULARY).save(given)
    return given


def load(way: str) -> Callable[[Path, Path], int]:
    from altiplano.tokens.shards import ShardWriter, token_dtype
    from altiplano.tokens.tokenizer import Tokenizer

    def work(given: Path, output: Path) -> int:
        tokenizer = Tokenizer.load(given)
        writer = ShardWriter(output.with_suffix(""), token_dtype(VOCABULARY))
        size, batch = 0, []
        for _, text in filtering.texts(given / "texts.jsonl"):
            batch.append(text)
            if len(batch) == 512:
                size += encode(tokenizer, writer, batch)
                batch = []
        size += encode(tokenizer, writer, batch)
        shard = writer.close("train", "all", "en")
        output.write_text(json.dumps({"tokens": shard.tokens, "documents": shard.documents}))
        return size

    return work


def encode(tokenizer: Any, writer: Any, texts: list[str]) -> int:
    size = 0
    for text, tokens in zip(texts, tokenizer.encode_batch(texts), strict=True):
        writer.add([tokenizer.bos, *tokens, tokenizer.eos], len(text.encode()))
        size += len(text.encode())
    return size


def judge(outputs: dict[str, Path]) -> dict[str, Any]:
    """Both must count the same tokens, but for the begin tokens that only we write."""
    ours, theirs = (json.loads(outputs[way].read_text()) for way in ("altiplano", "datatrove"))
    return {
        "tokens": ours["tokens"],
        "passed": ours["tokens"] - ours["documents"] == theirs["tokens"],
        "tokens_of_datatrove": theirs["tokens"],
    }
