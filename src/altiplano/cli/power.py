"""``altiplano power``: how often the red team's tests find defects that were planted."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import Commands, add_command
from altiplano.errors import InputError

EXAMPLES = """examples:
  altiplano power
  altiplano power measured --seeds 2 --doses middle
  altiplano power measured --test canaries --test backdoors --json

Nine defects (canary strings, personal data left in, a toxic slice, a backdoor, a poisoned fact, leaked benchmark
items, glitch tokens, a group bias, text of a forbidden licence) are planted into small trainings, all at one dose,
beside clean twins with innocent text in their place. Every test of the red team runs on each. The table has the share
of trainings with the defect that a test finds (power) and of twins in which it raises an alarm all the same, with 95 %
intervals.

All that is planted is invented and harmless. The models are small: a defect that is found there need not be found in a
large one. A training takes about a minute of one core; with 5 seeds there are 20. Ctrl-C and kill -9 are safe: the same
command goes on with what is missing."""


def add(commands: Commands) -> None:
    power = add_command(commands, "power", "measure how often the red team's tests find planted defects", run, EXAMPLES)
    power.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("power"),
        metavar="FOLDER",
        help="where power.json and the result of each training go (default: power)",
    )
    power.add_argument("--seeds", type=int, default=5, metavar="N", help="trainings a dose (default: 5)")
    power.add_argument("--twins", type=int, metavar="N", help="clean twins (default: as many as --seeds)")
    power.add_argument(
        "--first-seed",
        type=int,
        default=0,
        metavar="N",
        help="the first of the seeds (default: 0); the table of the package is of seeds 10 to 14",
    )
    power.add_argument(
        "--doses",
        nargs="+",
        choices=("low", "middle", "high"),
        default=["low", "middle", "high"],
        help="how much is planted (default: all three)",
    )
    power.add_argument(
        "--test", action="append", default=[], metavar="NAME", help="plant what this test is to find, alone; repeatable"
    )
    power.add_argument("--json", action="store_true", help="print power.json in place of the table")


def run(options: argparse.Namespace) -> int:
    first, twins = options.first_seed, options.seeds if options.twins is None else options.twins
    for name, value, least in (("seeds", options.seeds, 1), ("twins", twins, 1), ("first-seed", first, 0)):
        if value < least:
            raise InputError(f"--{name} {value}: give a number of at least {least}")
    from altiplano.optional_imports import require

    require("the red team")
    from rich.console import Console

    from altiplano.redteam.planted.power import measure
    from altiplano.report.power_table import power_table

    seeds, clean = range(first, first + options.seeds), range(first, first + twins)
    found = measure(options.folder, seeds, options.doses, options.test, clean)
    if options.json:
        print(found.model_dump_json(indent=1))
    else:
        Console().print(power_table(found))
        print(options.folder / "power.json")
    return 0
