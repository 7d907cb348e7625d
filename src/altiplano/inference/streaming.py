"""``altiplano generate``: one prompt, its continuation written as it comes."""

import codecs
import sys
from pathlib import Path

from altiplano.errors import InputError
from altiplano.inference.generate import Row, Sampling, stream
from altiplano.inference.language_model import load_language_model


def generate_text(
    folder: Path,
    prompt: str,
    *,
    max_tokens: int,
    temperature: float | None = None,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
) -> None:
    """Print the prompt and what the model makes of it. Raises InputError for settings that cannot be."""
    if max_tokens < 1:
        raise InputError(f"--tokens {max_tokens}: give a number above 0")
    if temperature is not None and temperature < 0:
        raise InputError(f"--temperature {temperature}: 0 is greedy, higher is more random")
    if not 0 < top_p <= 1:
        raise InputError(f"--top-p {top_p}: give a share of the probability, above 0 and at most 1")
    if top_k < 0:
        raise InputError(f"--top-k {top_k}: give a number of tokens, or 0 for all")
    served = load_language_model(folder)
    tokens = served.prompt(prompt)
    if len(tokens) + max_tokens > served.context:
        raise InputError(
            f"the prompt has {len(tokens):,} tokens and --tokens asks for {max_tokens:,} more: "
            f"this model's context is {served.context:,}"
        )
    chosen = served.temperature if temperature is None else temperature
    row = Row(tokens, Sampling(max_tokens, chosen, top_k, top_p, seed))
    sys.stdout.write(prompt)
    decoder, written = codecs.getincrementaldecoder("utf-8")("replace"), 0
    for _ in stream(served.model, served.tokenizer, [row]):
        sys.stdout.write(decoder.decode(row.said[written:], final=bool(row.finish)))
        sys.stdout.flush()
        written = len(row.said)
    sys.stdout.write("\n")
