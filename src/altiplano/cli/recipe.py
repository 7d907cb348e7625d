"""``altiplano recipe``: a recipe with every default, or whether it is valid."""

import argparse
import json

from altiplano.cli.arguments import Commands, add_cluster, add_command, add_recipe, read_inputs
from altiplano.recipe.load import check_formats
from altiplano.recipe.trainings import MAIN, layout_of, trainings


def add(commands: Commands) -> None:
    recipe = add_command(
        commands,
        "recipe",
        "print a recipe with every default filled in, or check it",
        run,
        "examples:\n  altiplano recipe show llama-3.1-405b\n"
        "  altiplano recipe validate recipes/small.toml --layout dp2.tp2.pp2",
    )
    recipe.add_argument("action", choices=["show", "validate"])
    add_recipe(recipe)
    add_cluster(recipe)
    recipe.add_argument("--json", action="store_true", help="print JSON instead of TOML")


def run(options: argparse.Namespace) -> int:
    recipe, cluster, layout = read_inputs(options)
    if options.action == "validate":
        check_formats(recipe.corpus, readers=())
        from altiplano.planning.model_size import parameters
        from altiplano.recipe.units import human

        for one in trainings(recipe):
            batch = one.recipe.batch
            begin = f"{recipe.name}: valid. {human(parameters(recipe.model))} parameters"
            print(
                f"{begin if one.stage == MAIN else f'phase {one.phase}'}; {batch.steps:,} steps of "
                f"{' to '.join(f'{size:,}' for size in batch.sizes)} sequences of {batch.sequence_length:,} tokens; "
                f"layout {layout_of(one, cluster, layout)}"
            )
    elif options.json:
        print(json.dumps(recipe.model_dump(mode="json"), indent=2))
    else:
        from altiplano.stages.run import recipe_toml

        print(recipe_toml(recipe), end="")
    return 0
