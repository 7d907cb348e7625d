"""``altiplano compare``: which of two or more evaluated models is better, and whether that can be told."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import Commands, add_command
from altiplano.errors import InputError

EXAMPLES = """examples:
  altiplano compare runs/a runs/b
  altiplano compare runs/a runs/b runs/small --output comparison

Each model is compared with the first one, on the items and documents that both answered: a paired test over
passages and documents, corrected for their number (Holm). "No difference told" is not "no difference": the column
"80 %" has the difference that would have been seen with a probability of 80 %."""


def add(commands: Commands) -> None:
    compare = add_command(
        commands,
        "compare",
        "compare evaluated models item by item: better, worse, or no difference told",
        run,
        EXAMPLES,
    )
    compare.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="two or more: runs that were evaluated, or folders that altiplano evaluate wrote",
    )
    compare.add_argument(
        "--output",
        type=Path,
        default=Path("comparison"),
        metavar="FOLDER",
        help="where compare.html and compare.json go (default: comparison)",
    )
    compare.add_argument("--json", action="store_true", help="print compare.json in place of the table")


def run(options: argparse.Namespace) -> int:
    folders: list[Path] = options.folders
    if len(folders) < 2:
        raise InputError(f"altiplano compare {folders[0]} FOLDER…: name two models or more")
    for place, folder in enumerate(folders):
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder: name runs, or folders that altiplano evaluate wrote")
        if folder.absolute() in [other.absolute() for other in folders[:place]]:
            raise InputError(f"{folder} is named twice: name different models")
    from rich.console import Console

    from altiplano.benchmarks.comparison import compare, read_evaluated
    from altiplano.report.comparison_page import comparison_table, write_comparison

    found = compare([read_evaluated(folder) for folder in folders])
    page = write_comparison(found, options.output)
    if options.json:
        print(found.model_dump_json(indent=1))
    else:
        Console().print(comparison_table(found))
        print(page)
    return 0
