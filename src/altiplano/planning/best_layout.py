"""``--layout auto`` of training: the planner's fastest layout for this package's own trainer, simplest among equals.

``--layout auto``: the simplest layout that fits, from the recipe and the cluster alone.

Bytes are estimates to choose by, not to promise: counts of what is kept, without the allocator's fragmentation.
"""

from itertools import product

from altiplano.errors import InputError
from altiplano.planning.case import layout_of
from altiplano.planning.model_size import layer_parameters, parameters
from altiplano.planning.plan import chip_of, one_step
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


GIB = 2**30
STATE_BYTES = 16
"""Per parameter, sharded: float32 weight, gradient and two moments (Rajbhandari et al. 2020 count the same)."""
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
    """Bytes on the fullest device: the first pipeline stage's activations, and the logits of the last."""
    model, width = recipe.model, 2 if recipe.precision.compute == "bfloat16" else 4
    state = STATE_BYTES * parameters(model) * layout.replicas / layout.world_size
    if layout.pp > 1:  # weights stay gathered between micro-batches, and gradients add up unsharded in float32
        gathered = (width + 4) * parameters(model) / (layout.pp * layout.tp)
    else:  # one block and the one fetched ahead, or the embedding
        gathered = width * 2 * max(layer_parameters(model), model.vocab_size * model.hidden_size) / layout.tp
    count, size = layout.micro_batches(recipe.batch.sequences, recipe.batch.sequence_length)
    tokens = size * recipe.batch.sequence_length / (layout.cp * layout.tp)
    keys = 2 * model.num_key_value_heads * model.head_dim
    block = width * tokens * (6 * model.hidden_size + keys + 4 * model.intermediate_size)
    kept = {
        "none": block,
        "selective": width * tokens * (5 * model.hidden_size + keys + 2 * model.intermediate_size),
        "full": width * tokens * model.hidden_size,
    }[layout.recompute]
    in_flight = min(count, layout.pp)
    logits = tokens * model.vocab_size * (width + 8)  # as computed, in float32, and their gradient
    return state + gathered + in_flight * kept * model.num_hidden_layers / layout.pp + block + logits
