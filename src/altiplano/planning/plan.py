"""The plan of a recipe on a cluster: layout, memory, step time, goodput, cost."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

from altiplano.errors import InputError
from altiplano.planning.case import Case, Parallelism, parallelism_of
from altiplano.planning.cost import Bill, bill
from altiplano.planning.memory import Memory, capacity, memory
from altiplano.planning.model_size import shape_of
from altiplano.planning.published.runs import evidence
from altiplano.planning.reliability import (
    Reliability,
    Tier,
    best_interval,
    ettr,
    job_failure_seconds,
    simulate,
    simulate_tiers,
    tiered_ettr,
)
from altiplano.planning.search import Search, check_runnable, search
from altiplano.planning.stacks import Chip, Stack, load_chip, load_stack, table, value_of
from altiplano.planning.step_time.step_time import StepTime, step_time
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe

PRECISION = {"bfloat16": "bf16", "float32": "fp32", "float64": "fp32"}
UNSEEN = 0.25
"""Half of the interval where no published run of that stack, chip and precision could be compared (assumed)."""
MEMORY_TIER = Tier(0.0, 0.5, 120.0, 0.8)
"""Checkpoints in a neighbour's memory: half a second, two minutes to start again, and four of five
failures leave them usable (assumed; Gemini, SOSP 2023, and HyperPod report as much)."""


@dataclass(frozen=True)
class Plan:
    """Everything that is predicted of one run. Seconds, bytes; ``wall_seconds`` with failures."""

    recipe: Recipe
    cluster: Cluster
    chip: Chip
    stack: Stack
    devices: int
    case: Case
    memory: list[Memory]
    step: StepTime
    steps: int
    training_seconds: float
    reliability: Reliability
    interval_steps: int
    found: Search | None

    @property
    def seconds(self) -> float:
        return self.step.total

    @property
    def compared(self) -> int:
        """Published runs of this stack, chip and precision that the planner was compared with."""
        return evidence(self.stack.name, self.chip.name, self.case.precision)[0]

    @property
    def uncertainty(self) -> float:
        """Half of the interval on the time of a step in a short benchmark, relative."""
        if self.cluster.device == "cpu":
            return self.stack.uncertainty
        behind, error = evidence(self.stack.name, self.chip.name, self.case.precision)
        return max(self.stack.uncertainty, error if behind else UNSEEN)

    @property
    def fullest(self) -> Memory:
        return max(self.memory, key=lambda one: one.total)

    @property
    def fits(self) -> bool:
        return self.fullest.total <= capacity(self.chip)

    @property
    def ettr(self) -> float:
        """With a checkpoint every ``interval_steps``, as the recipe has it."""
        return ettr(self.interval_steps * self.seconds, self.reliability)

    @property
    def best_steps(self) -> int:
        """Steps between checkpoints that lose least."""
        interval = best_interval(self.reliability)
        return self.steps if math.isinf(interval) else max(1, min(self.steps, round(interval / self.seconds)))

    @property
    def best_ettr(self) -> float:
        return ettr(self.best_steps * self.seconds, self.reliability)

    @property
    def simulated_ettr(self) -> float:
        """``best_ettr`` by simulating a few hundred failures, to check the formula."""
        mean = self.reliability.failure_seconds
        if math.isinf(mean):
            return self.best_ettr
        return simulate(self.best_steps * self.seconds, self.reliability, 500 * mean)

    @cached_property
    def tiered(self) -> tuple[int, float]:
        """With checkpoints in memory, too: the interval in steps that loses least, and the productive share of time."""
        mean, steps = self.reliability.failure_seconds, self.best_steps
        slow = Tier(steps * self.seconds, self.reliability.save_seconds, self.reliability.repair_seconds)

        def forward(count: int) -> float:
            return tiered_ettr(replace(MEMORY_TIER, interval=count * self.seconds), slow, mean)

        best = max({round(steps ** (power / 12)) for power in range(13)}, key=forward)
        if slow.interval > mean / 4:  # too long for the formula
            return best, simulate_tiers(replace(MEMORY_TIER, interval=best * self.seconds), slow, mean, 50 * mean)
        return best, forward(best)

    @property
    def failures(self) -> float:
        """Expected, over the run with its checkpoints as the recipe has them."""
        mean = self.reliability.failure_seconds
        return 0.0 if math.isinf(mean) else self.training_seconds / max(self.ettr, 1e-9) / mean

    def bill(self, share: float = 1.0) -> Bill:
        """Of the run when ``share`` of the time is productive; 1: without failures and checkpoints."""
        operation, cluster = self.cluster.operation, self.cluster
        country = cluster.country or self.recipe.disclosure.country
        return bill(
            self.training_seconds / max(share, 1e-9),
            self.devices,
            self.chip.chip_watts,
            cluster.watts_per_device,
            cluster.pue,
            country,
            operation.price_per_device_hour,
            operation.spare,
        )


def make_plan(
    recipe: Recipe,
    cluster: Cluster,
    layout: Layout | None = None,
    stack: str = "",
    devices: int = 0,
    precision: str = "",
    chip: Chip | None = None,
) -> Plan:
    """``layout`` None: the best one. ``devices``, ``chip`` and ``precision`` (bf16, fp8, fp32) replace the cluster's or
    the recipe's own. Raises InputError for what cannot be."""
    chip = chip or chip_of(cluster)
    profile = load_stack(stack or cluster.stack or ("altiplano-cpu" if cluster.device == "cpu" else "nvidia-nemo"))
    count = devices or cluster.devices
    if precision not in ("", "bf16", "fp8", "fp32"):
        raise InputError(f"--precision {precision}: it is bf16, fp8 or fp32")
    base = one_step(recipe, profile, precision)
    found = None
    if layout is None and count == 1:
        layout = Layout()
    if layout is None:
        found = search(base, count, chip, profile, cluster.name, recipe.batch.sizes)
        case = found.best.case
    else:
        case = laid_out(base, layout, recipe, cluster, profile, count)
        chip = shared_cores(chip, case.parallelism.devices, count) if cluster.device == "cpu" else chip
    step = step_time(case, chip, profile)
    operation = cluster.operation
    reliability = Reliability(
        job_failure_seconds(count, failure_rate(operation.failures)) if cluster.device != "cpu" else math.inf,
        operation.save_seconds if cluster.device != "cpu" else 0.0,
        operation.restart_seconds,
        operation.write_seconds if cluster.device != "cpu" else 0.0,
    )
    return Plan(
        recipe,
        cluster,
        chip,
        profile,
        count,
        case,
        memory(case, profile),
        step,
        recipe.batch.steps,
        training_seconds(recipe, case, chip, profile),
        reliability,
        recipe.checkpoint.interval_steps,
        found,
    )


def chip_of(cluster: Cluster) -> Chip:
    """The cluster's chip with the memory that the cluster file says, which "80" GiB of a card's 79.1 do not change.

    Raises InputError when it names no chip, or a chip with less memory.
    """
    if not cluster.chip:
        raise InputError(f'cluster {cluster.name} does not say its chip; add chip = "h100", or a hardware file')
    chip = load_chip(cluster.chip)
    if not cluster.memory:
        return chip
    if cluster.device == "cpu":
        return replace(chip, memory_gib=cluster.memory)
    if cluster.memory > 1.1 * chip.memory_gib:
        raise InputError(
            f"cluster {cluster.name}: memory = {cluster.memory:g}, but a chip {chip.name} has {chip.memory_gib:g} GiB; "
            "leave memory out, or name another chip"
        )
    return replace(chip, memory_gib=min(chip.memory_gib, cluster.memory))


def one_step(recipe: Recipe, stack: Stack, precision: str = "") -> Case:
    """A step of the recipe before it is laid out; ``precision`` replaces the recipe's own."""
    batch = recipe.batch
    own = "fp8" if recipe.precision.matmul == "float8-rowwise" else PRECISION[recipe.precision.compute]
    precision = precision or own
    return Case(
        shape_of(recipe.model), batch.sequence_length, batch.sequences, Parallelism(), precision, slots=stack.slots
    )


def laid_out(base: Case, layout: Layout, recipe: Recipe, cluster: Cluster, stack: Stack, devices: int) -> Case:
    """The case with a given layout. Raises InputError when it does not fill the devices or cannot run."""
    check_runnable(layout, base, stack, recipe.batch.sizes)
    if layout.world_size != devices and cluster.device != "cpu":
        rest = layout.world_size // layout.dp
        hint = f"dp{devices // rest} would fill them" if devices % rest == 0 else f"dp × cp × tp × pp must be {devices}"
        raise InputError(f"layout {layout} is of {layout.world_size} devices, {cluster.name} has {devices}; {hint}")
    return with_layout(base, layout, stack)


def with_layout(base: Case, layout: Layout, stack: Stack) -> Case:
    parallelism, count = parallelism_of(layout, base.sequences, base.sequence)
    parallelism = replace(parallelism, sharding=stack.sharding, gradient_bytes=stack.gradient_bytes)
    return replace(base, parallelism=parallelism, filled=count)


def shared_cores(chip: Chip, ranks: int, devices: int) -> Chip:
    """A processor whose cores several ranks share."""
    share = devices / ranks
    return replace(
        chip,
        peak_bf16=chip.peak_bf16 * share,
        peak_fp32=chip.peak_fp32 * share,
        memory_bandwidth=chip.memory_bandwidth * share,
        elementwise_bandwidth=chip.elementwise_bandwidth * share,
        score_seconds=chip.score_seconds / share,
    )


def training_seconds(recipe: Recipe, case: Case, chip: Chip, stack: Stack) -> float:
    """Of all steps, with the smaller batches of a ramp at their own speed; without failures."""
    batch, total = recipe.batch, 0.0
    ends = [first for first, _, _ in batch.segments[1:]] + [batch.steps]
    for (first, _, tokens), end in zip(batch.segments, ends, strict=True):
        if first < end:
            sized = replace(case, sequences=tokens // case.sequence)
            sized = case if sized.sequences == case.sequences else replace(sized, filled=0)
            total += (end - first) * step_time(sized, chip, stack).total
    return total


def failure_rate(name: str) -> float:
    """For each device and day, of a name in ``data/failures.toml`` or a number. Raises InputError for neither."""
    rates = table("failures")
    if name in rates:
        return float(value_of(rates[name]["rate"]))
    try:
        rate = float(name)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise InputError(f'operation.failures = "{name}" is neither a number nor one of {", ".join(rates)}')
    return rate
