"""``altiplano generate``: a prompt and its continuation."""

import argparse
import codecs
import sys
from pathlib import Path

from altiplano.cli.arguments import MODEL, Commands, add_command, add_device
from altiplano.errors import InputError


def add(commands: Commands) -> None:
    generate = add_command(
        commands,
        "generate",
        "continue a prompt with a model",
        run,
        'example:\n  altiplano generate runs/quickstart/release "def main(" --tokens 64',
    )
    generate.add_argument("model", type=Path, help=MODEL)
    generate.add_argument("prompt", nargs="?", help="text to continue (default: read it from standard input)")
    generate.add_argument(
        "--tokens", type=int, default=64, metavar="N", help="tokens to generate at most (default: 64)"
    )
    generate.add_argument("--temperature", type=float, default=None, help="0 is greedy (default: the calibrated one)")
    generate.add_argument("--top-p", type=float, default=1.0, metavar="P", help="nucleus sampling (default: 1, off)")
    generate.add_argument(
        "--top-k", type=int, default=0, metavar="K", help="keep the K likeliest tokens (default: 0, all)"
    )
    generate.add_argument("--seed", type=int, default=0, help="the same seed gives the same text (default: 0)")
    add_device(generate)


def run(options: argparse.Namespace) -> int:
    """Print the prompt and what the model makes of it, as it comes."""
    import torch

    from altiplano.inference.device import choose_device
    from altiplano.inference.generate import Row, Sampling, stream
    from altiplano.inference.language_model import load_language_model
    from altiplano.inspect.screens import printable
    from altiplano.release.convert import as_model_folder

    prompt = sys.stdin.read() if options.prompt is None else options.prompt
    if options.tokens < 1:
        raise InputError(f"--tokens {options.tokens}: give a number above 0")
    if options.temperature is not None and options.temperature < 0:
        raise InputError(f"--temperature {options.temperature}: 0 is greedy, higher is more random")
    if not 0 < options.top_p <= 1:
        raise InputError(f"--top-p {options.top_p}: give a share of the probability, above 0 and at most 1")
    if options.top_k < 0:
        raise InputError(f"--top-k {options.top_k}: give a number of tokens, or 0 for all")
    device, dtype = choose_device(options.device), getattr(torch, options.precision)
    with as_model_folder(options.model) as model:
        served = load_language_model(model, dtype).to(device)
    tokens = served.prompt(prompt)
    if len(tokens) + options.tokens > served.context:
        raise InputError(
            f"the prompt has {len(tokens):,} tokens and --tokens asks for {options.tokens:,} more: "
            f"this model's context is {served.context:,}"
        )
    chosen = served.temperature if options.temperature is None else options.temperature
    row = Row(tokens, Sampling(options.tokens, chosen, options.top_k, options.top_p, options.seed))
    # A terminal would obey control characters; a file gets what was said.
    shown = printable if sys.stdout.isatty() else str
    sys.stdout.write(shown(prompt))
    decoder, written = codecs.getincrementaldecoder("utf-8")("replace"), 0
    for _ in stream(served.model, served.tokenizer, [row]):
        sys.stdout.write(shown(decoder.decode(row.said[written:], final=bool(row.finish))))
        sys.stdout.flush()
        written = len(row.said)
    sys.stdout.write("\n")
    return 0
