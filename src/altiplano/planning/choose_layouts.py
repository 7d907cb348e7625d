"""Which layout each training of a recipe has, by ``--layout`` and the cluster file: the same for every command."""

import os
import sys

from altiplano.planning.best_layout import best_layout
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import check_layouts, layout_of, trainings


def choose_layouts(recipe: Recipe, cluster: Cluster, wanted: str) -> tuple[Cluster, Layout]:
    """The cluster with the layouts of the recipe's phases, and that of all other trainings (``layout_of``).

    ``wanted`` stands in the place of the cluster's ``layout``: phases that have one of their own in the cluster file
    keep it, which is said on standard error. With "auto" every training has the best one for itself; empty: all is as
    the cluster file says. Raises InputError where a training cannot run so.
    """
    if wanted == "auto":
        main, *phases = trainings(recipe)
        planned = {one.phase: str(best_layout(one.recipe, cluster)) for one in phases}
        layout = best_layout(main.recipe, cluster)
        cluster = cluster.model_copy(update={"layouts": {recipe.name: planned}})
    else:
        layout = parse_layout(wanted) if wanted else cluster.layout
    check_layouts(layout, recipe, cluster, cluster.device)
    note = _note(recipe, cluster, layout, wanted)
    if note and os.environ.get("RANK", "0") == "0":
        print(f"note: {note}", file=sys.stderr, flush=True)
    return cluster, layout


def _note(recipe: Recipe, cluster: Cluster, layout: Layout, wanted: str) -> str:
    """Which phases have another layout than one may think."""
    phases = trainings(recipe)[1:]
    if wanted == "auto" or not phases:
        return ""
    if wanted:
        others = [one.phase for one in phases if layout_of(one, cluster, layout) != layout]
        kept = f"layout {layout} is not for {', '.join(others)}: cluster {cluster.name} has others for these phases"
        return kept if others else ""
    if cluster.layouts and recipe.name not in cluster.layouts:
        return (
            f"cluster {cluster.name} has layouts for phases of {', '.join(cluster.layouts)} alone: those of "
            f"{recipe.name} are trained by {layout}, as the rest; --layout auto plans each"
        )
    return ""
