"""``--layout auto`` of training: the planner's fastest layout for this package's own trainer, simplest among equals.

Where the planner cannot say (no chip is named), the simplest layout that fits the memory, by the planner's own count.
"""

from itertools import product

from altiplano.errors import InputError
from altiplano.planning.case import layout_of
from altiplano.planning.memory import GIB, fullest
from altiplano.planning.plan import chip_of, one_step, with_layout
from altiplano.planning.search import search
from altiplano.planning.stacks import load_stack
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, Recompute, check_layout
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
    return layout_of(found.best.case.parallelism)


USABLE = 0.9
"""Share of a device's memory to plan with: the rest is for the allocator, kernels and communication buffers."""
RECOMPUTE: tuple[Recompute, ...] = ("none", "selective", "full")


def simplest_layout(recipe: Recipe, cluster: Cluster) -> Layout:
    """Data parallelism alone if it fits, else tensor parallelism up to 8, else pipelines; recomputation before either.

    Uses all devices. Raises InputError when nothing fits.
    """
    if cluster.devices > 1 and not cluster.memory:
        raise InputError(f"--layout auto: cluster {cluster.name} does not say its memory, in GiB per device")
    reason, least = "", float("inf")
    pipelines = [pp for pp in range(1, cluster.devices + 1) if cluster.devices % pp == 0]
    for pp, tp, recompute in product(pipelines, (1, 2, 4, 8), RECOMPUTE):
        if cluster.devices % (pp * tp):
            continue
        layout = Layout(dp=cluster.devices // (pp * tp), tp=tp, pp=pp, recompute=recompute)
        try:
            check_layout(layout, recipe, cluster.device)
        except InputError as error:
            reason = reason or str(error)
            continue
        needed = memory_needed(recipe, layout) / GIB
        if not cluster.memory or needed <= USABLE * cluster.memory:
            return layout
        least = min(least, needed)
    if least == float("inf"):
        raise InputError(f"--layout auto: no layout uses all {cluster.devices} devices of {cluster.name}; {reason}")
    raise InputError(
        f"--layout auto: nothing fits {cluster.devices} devices of {cluster.memory:g} GiB; the least is about "
        f"{least:,.0f} GiB per device; use more devices or a smaller model"
    )


def memory_needed(recipe: Recipe, layout: Layout) -> float:
    """Bytes on the fullest device, as the planner counts them for this package's trainer."""
    stack = load_stack("altiplano")
    return fullest(with_layout(one_step(recipe, stack), layout, stack), stack).total
