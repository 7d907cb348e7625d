"""Token shards of a run, and the tokens of one document as they are read back."""

from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.tokens.shards import Shard, read_shards
from altiplano.tokens.tokenizer import Tokenizer

FIRST = 64
"""Tokens from which the beginning of a document is shown."""


def shards_of(run: Path) -> list[Shard]:
    """All of a run, training first. Raises InputError when it has none."""
    if not run.is_dir():
        raise InputError(f"no run at {run}: give a run's folder, such as runs/quickstart")
    if not (run / "tokenize" / "shards.json").exists():
        raise InputError(f"{run} has no token shards: altiplano tokenize RECIPE --workspace {run}")
    return [shard for split in ("train", "heldout") for shard in read_shards(run / "tokenize", split)]


def shard_of(run: Path, name: str) -> Shard:
    """``web.en`` (training) or ``heldout/web.en``. Raises InputError, naming some, when there is no such shard."""
    shards = {f"{shard.split}/{shard.name}": shard for shard in shards_of(run)}
    wanted = name if "/" in name else f"train/{name}"
    if wanted not in shards:
        some = ", ".join(list(shards)[:8])
        raise InputError(f"{run} has no token shard {name}: there are {some}{', …' if len(shards) > 8 else ''}")
    return shards[wanted]


def tokenizer_of(run: Path) -> Tokenizer:
    return Tokenizer.load(run / "tokenize" / "tokenizer")


def shard_row(shard: Shard) -> dict[str, Any]:
    return {
        "shard": f"{shard.split}/{shard.name}",
        "documents": shard.documents,
        "tokens": shard.tokens,
        "bytes": shard.bytes,
        "bytes_per_token": shard.bytes / max(shard.tokens, 1),
    }


def shard_documents(shard: Shard, tokenizer: Tokenizer, limit: int) -> list[dict[str, Any]]:
    """The first documents of a shard: number, tokens, bytes, how the text begins."""
    found = []
    for number in range(min(limit, shard.documents)):
        tokens = shard.document(number)
        begins = " ".join(tokenizer.decode(tokens[:FIRST].tolist()).split())
        size = int(shard.document_bytes[number])
        found.append({"document": number, "tokens": len(tokens), "bytes": size, "begins": begins})
    return found


def document_tokens(shard: Shard, number: int, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """``ids`` and ``text`` of every token; tokens that share a character stand together.

    Raises InputError when the shard has no such document.
    """
    if not 0 <= number < shard.documents:
        raise InputError(f"--document {number}: {shard.split}/{shard.name} has documents 0 to {shard.documents - 1:,}")
    pieces: list[dict[str, Any]] = []
    waiting: list[int] = []
    for token in shard.document(number).tolist():
        if token in tokenizer.specials:
            pieces.append({"ids": [token], "text": tokenizer.specials[token]})
            continue
        waiting.append(token)
        try:
            text = tokenizer.decode_bytes(waiting).decode("utf-8")
        except UnicodeDecodeError:  # its last character goes on in the next token
            continue
        pieces.append({"ids": waiting, "text": text})
        waiting = []
    return pieces
