"""What the released model says: it continues openings of held-out documents, one per domain and language."""

from pathlib import Path

from altiplano.inference.generate import Row, Sampling, generate
from altiplano.inference.language_model import load_language_model
from altiplano.records import Generation
from altiplano.tokens.shards import Shard, read_shards
from altiplano.tokens.tokenizer import Tokenizer

PROMPT_TOKENS = 20
SAMPLE_TOKENS = 80
GROUPS = 12


def write_samples(folder: Path, tokenize: Path, seed: int) -> list[Generation]:
    """Continue held-out openings with the model in ``folder``, at its calibrated temperature.

    Held-out text was never trained on, so the model cannot have
    memorised the answers; personal data was removed from it if the recipe says so.
    """
    served = load_language_model(folder)
    shards = sorted(read_shards(tokenize, "heldout"), key=lambda shard: -shard.tokens)[:GROUPS]
    openings = [(shard.name, opening(shard, served.tokenizer)) for shard in shards if len(shard)]
    room = max(1, min(SAMPLE_TOKENS, served.context - PROMPT_TOKENS - 2))
    rows = [
        Row(served.prompt(text), Sampling(max_tokens=room, temperature=served.temperature, seed=seed + number))
        for number, (_, text) in enumerate(openings)
    ]
    generate(served.model, served.tokenizer, rows)
    return [
        Generation(group=group, prompt=text, text=row.text, temperature=served.temperature)
        for (group, text), row in zip(openings, rows, strict=True)
    ]


def opening(shard: Shard, tokenizer: Tokenizer) -> str:
    """The first words of the first document that is long enough (else of the longest)."""
    documents = range(min(len(shard), 64))
    long_enough = (n for n in documents if len(shard.document(n)) > 2 * PROMPT_TOKENS)
    number = next(long_enough, max(documents, key=lambda n: len(shard.document(n))))
    # A cut may fall inside a character.
    return tokenizer.decode(shard.document(number)[: PROMPT_TOKENS + 1].tolist()).rstrip("\ufffd")
