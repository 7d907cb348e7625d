"""``altiplano trace``: where a text comes from."""

import argparse
import json
import os
import sys
from pathlib import Path

from altiplano.cli.arguments import Commands, add_command
from altiplano.errors import InputError

EXAMPLES = """examples:
  altiplano trace runs/quickstart "for key, value in self.items():"
  altiplano trace runs/quickstart --file samples/essays/en.md --min-tokens 20 --json
  altiplano trace runs/quickstart "The high plain lies between two chains of mountains" --heldout

The first use builds an index in RUN/trace, five times as large as the text, and shows how far it is.
Ctrl-C is safe at any time: the same command goes on where it stopped."""


def add(commands: Commands) -> None:
    trace = add_command(
        commands,
        "trace",
        "find where a text comes from: its longest matches in the training text, their documents and training steps",
        run,
        EXAMPLES,
    )
    trace.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    trace.add_argument(
        "text", nargs="?", metavar="TEXT", help="what to look for (default: read it from standard input)"
    )
    trace.add_argument("--file", type=Path, metavar="PATH", help="read the text from a file")
    trace.add_argument(
        "--min-tokens",
        type=int,
        default=8,
        metavar="N",
        help="shortest match, in whole tokens of the text (default: 8); a shorter text must match as a whole",
    )
    trace.add_argument("--documents", type=int, default=5, metavar="N", help="documents to name a match (default: 5)")
    trace.add_argument("--heldout", action="store_true", help="search the held-out text, too")
    trace.add_argument("--json", action="store_true", help="print JSON (docs/reference/json-output.md)")


def run(options: argparse.Namespace) -> int:
    text = read_text(options)
    for name, least in (("min-tokens", 1), ("documents", 0)):
        if (value := getattr(options, name.replace("-", "_"))) < least:
            raise InputError(f"--{name} {value}: give a number of at least {least}")
    from rich.console import Console

    from altiplano.inspect.matches_screen import matches_screen
    from altiplano.trace import build_index
    from altiplano.trace.trace import Tracer

    splits = ("train", "heldout") if options.heldout else ("train",)
    for split in splits:
        build_index(options.run, split)
    traces = [Tracer(options.run, split).trace(text, options.min_tokens, options.documents) for split in splits]
    if options.json:
        print(json.dumps({"traces": [trace.as_json() for trace in traces]}, indent=1, ensure_ascii=False))
        return 0
    for trace in traces:
        Console(highlight=False).print(matches_screen(options.run, trace))
    return 0


def read_text(options: argparse.Namespace) -> str:
    """Without the line end of a file or a pipe. Raises InputError when there is no text, or it is not UTF-8."""
    if options.text is not None and options.file is not None:
        raise InputError("give TEXT or --file, not both")
    if options.file is not None:
        place = str(options.file)
        try:
            raw = options.file.read_bytes()
        except OSError as error:
            raise InputError(f"--file {options.file}: {error.strerror}") from error
    elif options.text is not None:
        place, raw = "TEXT", os.fsencode(options.text)
    else:
        place, raw = "standard input", sys.stdin.buffer.read()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 (byte {error.start:,}): convert it") from error
    if not text.strip():
        raise InputError(f"{place} has no text to look for")
    return text if options.text is not None else text.rstrip("\r\n")
