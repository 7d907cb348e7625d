"""``--layout auto`` of training: the planner's fastest layout for this package's own trainer, simplest among equals."""

from altiplano.errors import InputError
from altiplano.planning.case import layout_of
from altiplano.planning.plan import chip_of, one_step
from altiplano.planning.search import search
from altiplano.planning.simplest_layout import simplest_layout
from altiplano.planning.stack import load_stack
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe


def best_layout(recipe: Recipe, cluster: Cluster) -> Layout:
    """By the planner where the cluster names its chip and has several devices, else the simplest that fits.

    Raises InputError when nothing fits.
    """
    if cluster.device == "cpu" or not cluster.chip or cluster.devices == 1:
        return simplest_layout(recipe, cluster)
    stack, chip = load_stack("altiplano"), chip_of(cluster)
    try:
        found = search(one_step(recipe, stack), cluster.devices, chip, stack, cluster.name, recipe.batch.sizes)
    except InputError:
        return simplest_layout(recipe, cluster)
    return layout_of(found.best.case.spread)
