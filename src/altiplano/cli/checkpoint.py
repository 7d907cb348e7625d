"""``altiplano checkpoint``: what checkpoints a run has, whether they are sound, and one as a model folder."""

import argparse
import json
from pathlib import Path

from altiplano.cli.arguments import Commands, add_command
from altiplano.errors import InputError


def add(commands: Commands) -> None:
    saved = add_command(
        commands,
        "checkpoint",
        "list, verify or convert the checkpoints of a run",
        run,
        "examples:\n  altiplano checkpoint list runs/quickstart\n"
        "  altiplano checkpoint verify runs/quickstart\n"
        "  altiplano checkpoint convert runs/quickstart/train/checkpoints/step-00000300 model-at-300",
    )
    saved.add_argument("action", choices=["list", "verify", "convert"])
    saved.add_argument(
        "place", type=Path, metavar="RUN", help="a run's folder (convert: its newest checkpoint), or one checkpoint"
    )
    saved.add_argument(
        "out", type=Path, nargs="?", metavar="OUT", help="convert: the Hugging Face folder to write, which must be new"
    )
    saved.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    from altiplano.release.convert import convert
    from altiplano.training.checkpoints import inspection

    if options.action == "convert":
        if options.out is None:
            raise InputError(
                "altiplano checkpoint convert needs two folders: a checkpoint, and where to write the model"
            )
        print(convert(options.place, options.out))
        return 0
    found = inspection.describe(options.place, verify=options.action == "verify")
    print(json.dumps(found, indent=1) if options.json else inspection.table(found))
    if not options.json and (aside := inspection.describe_aside(options.place)):
        print(aside)
    return 1 if any(one.get("problem") for one in found) else 0
