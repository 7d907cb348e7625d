"""``altiplano rehearse``: a step of a large job on fake ranks, beside the plan; its start on one host."""

import argparse
import json

from altiplano.cli.arguments import Commands, add_cluster, add_command, add_recipe
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, check_layout, parse_layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import check_names_of_layouts, layout_of, training_of


def add(commands: Commands) -> None:
    rehearsal = add_command(
        commands,
        "rehearse",
        "dry-run one training step of a large job on fake ranks of this machine, and compare it with the plan",
        run,
        "examples:\n  altiplano rehearse llama-3.1-405b --cluster h100-2048\n"
        "  altiplano rehearse llama-3.1-405b --cluster h100-2048 --start\n"
        "  altiplano rehearse llama-3.1-8b-128k --cluster h100-8 --phase context-128k\n"
        "  altiplano rehearse RECIPE --cluster CLUSTER.toml --layout dp8.tp4.pp4 --json\n\n"
        "Exit status: 0 as planned, 1 not, or the step fails, 2 bad input.",
    )
    add_recipe(rehearsal)
    add_cluster(rehearsal)
    rehearsal.add_argument(
        "--phase", metavar="NAME", default="main", help="of this phase of the recipe (default: main, before them)"
    )
    rehearsal.add_argument(
        "--start",
        action="store_true",
        help="instead of a step: start, checkpoints and resumption of rank 0 on its host, and where it waits for the "
        "device",
    )
    rehearsal.add_argument(
        "--json", action="store_true", help="print JSON (docs/reference/json-output.md has its keys)"
    )


def run(options: argparse.Namespace) -> int:
    whole, cluster = load_recipe(options.recipe, options.overrides), load_cluster(options.cluster)
    training = training_of(whole, options.phase)
    recipe = training.recipe
    # Of this training alone: what is asked for need not suit the others.
    if options.layout == "auto":
        from altiplano.planning.best_layout import best_layout

        layout = best_layout(recipe, cluster)
    elif options.layout:
        layout = parse_layout(options.layout)
    else:
        check_names_of_layouts(whole, cluster)
        layout = layout_of(training, cluster, cluster.layout)
    check_layout(layout, recipe, cluster.device)
    if options.start:
        return _start(recipe, cluster, layout, as_json=options.json)
    from altiplano.rehearsal.rehearse import as_json, as_text, rehearse

    done = rehearse(recipe, cluster, layout)
    print(json.dumps(as_json(done, recipe, cluster, layout), indent=1) if options.json else as_text(done, layout))
    return 0 if all(one.agrees for one in done) else 1


def _start(recipe: Recipe, cluster: Cluster, layout: Layout, *, as_json: bool) -> int:
    from altiplano.rehearsal import host

    done = host.rehearse_host(recipe, layout)
    about = {"recipe": recipe.name, "cluster": cluster.name, "layout": str(layout), "world_size": layout.world_size}
    print(json.dumps(about | host.as_json(done), indent=1) if as_json else host.as_text(done))
    return 0 if done.agrees else 1
