"""``altiplano inspect``: documents and tokens of a run on the terminal."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import Commands, add_command


def add(commands: Commands) -> None:
    look = add_command(
        commands,
        "inspect",
        "look at a run's documents, at why one was kept or dropped, and at its tokens",
        run,
        "examples:\n  altiplano inspect runs/quickstart\n"
        '  altiplano inspect runs/quickstart --documents --reason "too short" --language de\n'
        "  altiplano inspect runs/quickstart 3f2a91\n"
        "  altiplano inspect runs/quickstart --tokens web.en --document 0",
    )
    look.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    look.add_argument("id", nargs="?", metavar="ID", help="a document: its id, the beginning of it, or its URL")
    look.add_argument("--documents", action="store_true", help="list documents")
    look.add_argument("--reason", metavar="R", help='those dropped for this reason, such as "too short"')
    look.add_argument("--language", metavar="L", help="those in this language, such as de")
    look.add_argument("--domain", metavar="D", help="those of web, academic, reference or code")
    look.add_argument("--kept", action="store_true", help="those that were kept")
    look.add_argument("--contains", default="", metavar="TEXT", help="those with this text, in any case")
    look.add_argument("--limit", type=int, default=20, metavar="N", help="documents to list at most (default: 20)")
    look.add_argument(
        "--tokens", nargs="?", const="", metavar="SHARD", help="token shards, or one, such as web.en or heldout/web.en"
    )
    look.add_argument("--document", type=int, metavar="N", help="with --tokens SHARD: the tokens of document N, from 0")
    look.add_argument("--full", action="store_true", help="the whole text, all tokens")
    look.add_argument("--json", action="store_true", help="print JSON (docs/guides/inspect.md)")


def run(options: argparse.Namespace) -> int:
    from altiplano.optional_imports import require

    require("altiplano inspect")  # it measures texts as curation did, with the same libraries
    from altiplano.inspect import Question, Wanted, inspect

    wanted = Wanted(options.reason, options.language, options.domain, options.kept, options.contains)
    documents = options.documents or (options.tokens is None and options.id is None and wanted != Wanted())
    question = Question(options.id, documents, wanted, options.limit, options.tokens, options.document, options.full)
    inspect(options.run, question, options.json)
    return 0
