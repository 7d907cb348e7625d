"""``altiplano generate``: a prompt and its continuation."""

import argparse
import sys
from pathlib import Path

from altiplano.cli.common import Commands, add_command


def add(commands: Commands) -> None:
    generate = add_command(
        commands,
        "generate",
        "continue a prompt with a released model",
        run,
        'example:\n  altiplano generate runs/quickstart/release "def main(" --tokens 64',
    )
    generate.add_argument("model", type=Path, help="a released model's folder")
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


def run(options: argparse.Namespace) -> int:
    from altiplano.inference.streaming import generate_text as stream

    prompt = sys.stdin.read() if options.prompt is None else options.prompt
    stream(
        options.model,
        prompt,
        max_tokens=options.tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=options.seed,
    )
    return 0
