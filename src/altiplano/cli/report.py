"""``altiplano report``: one HTML page about a run."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import Commands, add_command
from altiplano.errors import InputError


def add(commands: Commands) -> None:
    report = add_command(
        commands,
        "report",
        "write one self-contained HTML page about a run",
        run,
        "examples:\n  altiplano report runs/quickstart\n  altiplano report runs/a --compare runs/b",
    )
    report.add_argument("workspace", type=Path, metavar="RUN", help="the run's folder")
    report.add_argument(
        "--compare", type=Path, metavar="OTHER", help="draw the training curves of this run behind its own"
    )


def run(options: argparse.Namespace) -> int:
    for run in (options.workspace, options.compare):
        if run is not None and not (run / "recipe.toml").exists():
            raise InputError(f"{run} is not a run's folder: recipe.toml is missing")
    from altiplano.report import report

    print(report(options.workspace, options.compare))
    return 0
