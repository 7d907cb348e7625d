"""What was planned for a run that has been measured, for its report."""

import math
from dataclasses import replace

from altiplano.errors import InputError
from altiplano.planning.plan import chip_of, make_plan
from altiplano.planning.reliability import ettr
from altiplano.planning.step_time.step_time import throughput
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.schema import CheckpointConfig, Recipe
from altiplano.records import PlannedRun


def planned(recipe: Recipe, cluster: Cluster, layout: str, peak_flops: float) -> PlannedRun | None:
    """What the planner expects of our trainer on ``layout``; None where there is no plan.

    A processor is as fast as the ``peak_flops`` that were measured on it at the start of the run; what else is known of
    it is the cluster's chip.
    """
    if not cluster.chip or not layout:
        return None
    try:
        chip = chip_of(cluster)
        if cluster.device == "cpu" and peak_flops > 0:
            chip = replace(chip, peak_bf16=peak_flops, peak_fp32=peak_flops * chip.peak_fp32 / chip.peak_bf16)
        stack = "altiplano-cpu" if cluster.device == "cpu" else "altiplano"
        plan = make_plan(recipe, cluster, parse_layout(layout), stack, chip=chip)
    except InputError:
        return None
    speed = throughput(plan.case, plan.chip, plan.seconds)["tokens_per_second"]
    forward = ettr(saved_every(recipe.checkpoint, plan.seconds), plan.reliability)
    return PlannedRun(tokens_per_second=speed, memory_bytes=plan.fullest.total, forward=forward)


def saved_every(rules: CheckpointConfig, step_seconds: float) -> float:
    """Seconds of work between checkpoints of either tier."""
    steps = min(rules.interval_steps, rules.rolling_steps or rules.interval_steps)
    return min(steps * step_seconds, 60 * rules.rolling_minutes or math.inf)
