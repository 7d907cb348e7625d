"""What several commands share: their part of the parser, their inputs, and how they complain."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import SPELLING, Layout
from altiplano.recipe.load import load_cluster, load_recipe, shipped
from altiplano.recipe.schema import Recipe

Commands = Any
"""What ``add_subparsers`` returns; argparse does not name its type."""


MODEL = "a run's folder, one of its checkpoints, any Hugging Face folder of a Llama model, or a GGUF file"
GO_ON = "interrupted; the same command goes on where this one stopped"


def add_command(
    commands: Commands, name: str, purpose: str, handler: Callable[[argparse.Namespace], int], epilog: str
) -> argparse.ArgumentParser:
    """A command's parser, whose help has its purpose and examples; ``handler`` returns the exit status."""
    sub: argparse.ArgumentParser = commands.add_parser(
        name,
        help=purpose,
        description=purpose[0].upper() + purpose[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(command=handler)
    return sub


def add_recipe(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("recipe", metavar="RECIPE", help="a TOML file, or the name of a recipe that comes with Altiplano")
    sub.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        dest="overrides",
        help="override a recipe value",
    )


def is_folder(name: str) -> bool:
    """Whether what stands in a recipe's place is a folder. A recipe's name is the recipe, whatever lies about."""
    return Path(name).is_dir() and name not in {file.stem for file in shipped("recipes").glob("*.toml")}


def add_cluster(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--cluster", default="laptop", metavar="FILE", help="hardware, a TOML file or a name (default: laptop)"
    )
    sub.add_argument(
        "--layout",
        metavar="L",
        help=f"how to parallelize the model, {SPELLING}; or auto: the fastest that fits, as planned "
        "(default: the cluster's; of plan: auto); phases with one of their own in the cluster file keep that, unless "
        "it is auto",
    )


def add_device(sub: argparse._ActionsContainer) -> None:
    sub.add_argument(
        "--device", default="", metavar="D", help="cpu, cuda or cuda:1 (default: the GPU when there is one)"
    )
    sub.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of weights and arithmetic; bfloat16 takes half the memory (default: float32)",
    )


def read_inputs(options: argparse.Namespace) -> tuple[Recipe, Cluster, Layout]:
    recipe, cluster = load_recipe(options.recipe, options.overrides), load_cluster(options.cluster)
    from altiplano.planning.choose_layouts import choose_layouts

    return recipe, *choose_layouts(recipe, cluster, options.layout or "")


def complain(text: str, code: int) -> int:
    print(f"altiplano: {text}", file=sys.stderr)
    return code
