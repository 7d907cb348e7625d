"""``--layout auto`` of training: the planner's fastest layout for this package's own trainer, simplest among equals."""

from altiplano.errors import InputError
from altiplano.planning.case import Spread
from altiplano.planning.plan import one_step
from altiplano.planning.search import search
from altiplano.planning.simplest_layout import simplest_layout
from altiplano.planning.stack import load_chip, load_stack
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, check_layout
from altiplano.recipe.schema import Recipe


def best_layout(recipe: Recipe, cluster: Cluster) -> Layout:
    """By the planner where the cluster names its chip and has several devices, else the simplest that fits.

    Raises InputError when nothing fits.
    """
    if cluster.device == "cpu" or not cluster.chip or cluster.devices == 1:
        return simplest_layout(recipe, cluster)
    stack = load_stack("altiplano")
    try:
        found = search(one_step(recipe, stack), cluster.devices, load_chip(cluster.chip), stack, cluster.name)
    except InputError:
        return simplest_layout(recipe, cluster)
    for choice in [*found.ties, *found.choices]:
        layout = layout_of(choice.case.spread)
        try:
            check_layout(layout, recipe, cluster.device)
        except InputError:
            continue
        return layout
    return simplest_layout(recipe, cluster)


def layout_of(spread: Spread) -> Layout:
    """As the trainer spells it: copies of the shards are replicas."""
    replicas = spread.dp * spread.cp // spread.shard_count if spread.cp == 1 else 1
    return Layout.model_validate(
        {
            "dp": spread.dp,
            "tp": spread.tp,
            "pp": spread.pp,
            "cp": spread.cp,
            "replicas": replicas,
            "micro_batch": spread.micro_batch,
            "schedule": spread.schedule,
            "virtual": spread.virtual if spread.virtual > 1 else 0,
            "recompute": spread.recompute,
        }
    )
