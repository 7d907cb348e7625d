"""``altiplano audit``: parts of a run, drawn at random, computed again and compared."""

import argparse
import json
import secrets
from dataclasses import asdict
from pathlib import Path

from altiplano.cli.arguments import Commands, add_cluster, add_command
from altiplano.errors import InputError

EXAMPLES = """examples:
  altiplano audit runs/quickstart --challenges 5
  altiplano audit runs/quickstart --corpus samples --challenges 8 --seed 7

Files are compared with their manifests (of a large run all sizes and some blocks, and files drawn at random up to
--read whole) and the last steps are trained again; then challenges are drawn: steps of the
training from a kept checkpoint (bit for bit, on the same kind of machine and layout), a shard of raw files curated, a
document encoded, a held-out document or a benchmark's item scored. The seed is printed: the same one draws the same
challenges. checkpoint.retain_steps in the recipe keeps the checkpoints that steps are replayed from.
Exit status: 0 all agree, 1 something differs, 2 bad input."""


def add(commands: Commands) -> None:
    audit = add_command(
        commands, "audit", "challenge a run: compute parts of it again, drawn at random, and compare", run, EXAMPLES
    )
    audit.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    audit.add_argument(
        "--corpus", type=Path, metavar="FOLDER", help="the raw files, to curate some again (the recipe's corpus.root)"
    )
    audit.add_argument("--challenges", type=int, default=20, metavar="N", help="how many to draw (default: 20)")
    audit.add_argument("--seed", type=int, metavar="S", help="what to draw (default: at random)")
    audit.add_argument("--steps", type=int, default=5, metavar="N", help="steps of a training challenge (default: 5)")
    audit.add_argument(
        "--read", default="64 GiB", metavar="SIZE", help="of files to read whole, drawn at random (default: 64 GiB)"
    )
    audit.add_argument("--json", action="store_true", help="print JSON")
    add_cluster(audit)


def run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from altiplano.recipe.load import load_cluster
    from altiplano.recipe.units import parse_bytes
    from altiplano.stages.challenges import Auditor

    if options.challenges < 0 or options.steps < 1:
        raise InputError("--challenges is 0 or more, --steps 1 or more")
    try:
        read = int(parse_bytes(options.read))
    except ValueError as error:
        raise InputError(f"--read {error}") from error
    if options.corpus is not None and not options.corpus.is_dir():
        raise InputError(f"--corpus {options.corpus} is no folder: name the one with the raw files")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    cluster = load_cluster(options.cluster)
    auditor = Auditor(options.run, cluster, options.corpus, seed, options.steps, read)
    taken = []
    console = Console(highlight=False)
    for challenge in auditor.take(options.challenges):
        taken.append(challenge)
        if not options.json:
            console.print(
                f"{'agrees' if challenge.passed else '[bold red]DIFFERS[/]'}  {challenge.kind:8}  {challenge.what}"
                + (f": {challenge.problem}" if challenge.problem else ""),
                soft_wrap=True,
            )
    failed = sum(not challenge.passed for challenge in taken)
    if options.json:
        print(
            json.dumps(
                {
                    "seed": seed,
                    "failed": failed,
                    "left_out": auditor.left_out,
                    "challenges": [asdict(one) for one in taken],
                },
                indent=1,
            )
        )
    else:
        for kind, why in auditor.left_out.items():
            console.print(f"{kind} was not challenged: {why}")
        console.print(f"{len(taken) - failed} of {len(taken)} agree; seed {seed}")
    return int(failed > 0)
