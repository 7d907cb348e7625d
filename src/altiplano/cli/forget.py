"""``altiplano forget``: a model that never saw some documents, from the last checkpoint before it did."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from altiplano.cli.arguments import GO_ON, Commands, add_cluster, add_command, complain
from altiplano.errors import INTERRUPTED, InputError

if TYPE_CHECKING:
    from altiplano.stages.forget import Price

EXAMPLES = """examples:
  altiplano forget runs/quickstart DOCUMENT
  altiplano forget runs/quickstart DOCUMENT DOCUMENT --yes

DOCUMENT is a curated document's id, as altiplano inspect and altiplano trace show it. Without --yes only the price is
named. Training goes back to the newest checkpoint before the first step that read one of the documents, and takes all
steps after it again without their samples: the weights are bit for bit those of a training from step 0 that never took
them. checkpoint.retain_steps in the recipe keeps checkpoints to go back to.
Ctrl-C is safe at any time: the same command goes on where it stopped."""


def add(commands: Commands) -> None:
    forget = add_command(
        commands, "forget", "train without some documents, from before they were read; the price first", run, EXAMPLES
    )
    forget.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    forget.add_argument(
        "documents", nargs="+", metavar="DOCUMENT", help="ids of curated documents, or beginnings of them"
    )
    forget.add_argument("--yes", action="store_true", help="do it: train again, and every stage after it")
    forget.add_argument("--json", action="store_true", help="print the price as JSON")
    add_cluster(forget)


def run(options: argparse.Namespace) -> int:
    from altiplano.planning.choose_layouts import choose_layouts
    from altiplano.recipe.layout import parse_layout
    from altiplano.recipe.load import load_cluster, load_recipe
    from altiplano.recipe.trainings import check_layouts, layout_of, training_of
    from altiplano.report import report
    from altiplano.report.terminal import print_summary
    from altiplano.stages.forget import find_documents, prepare, price
    from altiplano.stages.run import locked, run_until

    if not (options.run / "recipe.toml").exists():
        raise InputError(f"{options.run} is no run: it has no recipe.toml")
    cluster, recipe = load_cluster(options.cluster), load_recipe(str(options.run / "recipe.toml"))
    found = price(options.run, find_documents(options.run, options.documents), cluster)
    if options.layout:
        cluster, layout = choose_layouts(recipe, cluster, options.layout)
        layouts = [layout_of(training_of(recipe, part.phase), cluster, layout) for part in found.trainings]
        parts = [replace(part, layout=str(one)) for part, one in zip(found.trainings, layouts, strict=True)]
        found = replace(found, trainings=parts)
    if options.json:
        print(json.dumps(asdict(found) | {"device_hours": found.device_hours}, indent=1))
    else:
        _print_price(found)
    if not options.yes:
        if not options.json:
            print("to do it: the same command with --yes")
        return 0
    # each training has the layout that it had, whatever the cluster file says now
    main, *phases = found.trainings
    its = cluster.layouts.get(recipe.name, {}) | {part.phase: part.layout for part in phases}
    own, layout = cluster.model_copy(update={"layouts": {recipe.name: its}}), parse_layout(main.layout)
    check_layouts(layout, recipe, own, own.device)
    for part in found.trainings:
        with locked(options.run):
            recipe = prepare(options.run, found, part, cluster)
        outcomes = run_until(part.stage, recipe, own, layout, options.run)
        if not outcomes[-1].result.finished:
            return complain(GO_ON, INTERRUPTED)
    outcomes = run_until("release", recipe, own, layout, options.run)
    if not outcomes[-1].result.finished:
        return complain(GO_ON, INTERRUPTED)
    report(options.run)
    print_summary(options.run)
    _say_what_is_left(options.run)
    failed = [outcome for outcome in outcomes if not outcome.result.passed]
    return complain(failed[0].result.message, 1) if failed else 0


def _print_price(found: "Price") -> None:
    from rich.console import Console

    from altiplano.formatting import duration, number

    rows = [("documents", f"{len(found.documents):,}, {found.document_tokens:,} tokens")]
    for part in found.trainings:
        first = f"step {part.first_step:,}" if part.first_step else "not read so far"
        back = f"step {part.checkpoint:,}" if part.checkpoint else "the beginning: no checkpoint before it is left"
        if part.begins_anew:
            back = "the beginning: the training before it changes"
        if len(found.trainings) > 1:
            rows.append((f"phase {part.phase}", ""))
        rows += [
            ("left out", f"{part.samples:,} samples of {part.sample_tokens:,} tokens, other documents' among them"),
            ("first read", first),
            ("goes back to", back if part.steps else "nowhere"),
            ("steps to take again", f"{part.steps:,} of {part.of_steps:,}, under layout {part.layout}"),
        ]
    rows += [
        ("training", f"{duration(found.seconds)}, {number(found.device_hours)} device hours"),
        ("stages after it", duration(found.later_seconds)),
    ]
    width = max(len(name) for name, _ in rows)
    Console(highlight=False).print("\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in rows))


def _say_what_is_left(run: Path) -> None:
    """Copies that only a person may remove."""
    print(f"forgotten; {run / 'recipe.toml'} says so: go on with it")
    model = f", the old model in {run / '.superseded'}" if (run / ".superseded").exists() else ""
    print(f"the text is still in {run / 'curate'} and {run / 'tokenize'}{model}: remove what must not stay")
