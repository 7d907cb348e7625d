"""Which assumption moves a step's time most: each constant a tenth better and worse, all else as it is."""

from dataclasses import replace

from altiplano.planning.case import Case
from altiplano.planning.stacks import Chip, Stack
from altiplano.planning.step_time.step_time import step_time

TENTH = 0.1
CHIP = {
    "matmul_share": "speed of matrix products",
    "link_bandwidth": "bandwidth within a node",
    "network_bandwidth": "bandwidth between nodes",
    "memory_bandwidth": "memory bandwidth",
    "elementwise_bandwidth": "speed of elementwise work",
    "score_seconds": "softmax of attention",
}
STACK = {"tp_exposed": "share of tensor communication that nothing hides", "fleet": "sustained share of a benchmark"}


def sensitivities(case: Case, chip: Chip, stack: Stack) -> list[tuple[str, float]]:
    """What, and the relative change of step time from a tenth more to a tenth less of it; the largest first."""
    found = []
    for key, what in CHIP.items():
        chips = [replace(chip, **{key: getattr(chip, key) * factor}) for factor in (1 + TENTH, 1 - TENTH)]
        better, worse = (step_time(case, one, stack).total for one in chips)
        found.append((what, (worse - better) / step_time(case, chip, stack).total))
    for key, what in STACK.items():
        stacks = [replace(stack, **{key: getattr(stack, key) * factor}) for factor in (1 + TENTH, 1 - TENTH)]
        better, worse = (step_time(case, chip, one).total for one in stacks)
        found.append((what, (worse - better) / step_time(case, chip, stack).total))
    fp8 = replace(chip, matmul_share_fp8=chip.matmul_share_fp8 * (1 - TENTH))
    if case.precision == "fp8":
        found.append(
            ("speed of fp8 products", 2 * (step_time(case, fp8, stack).total / step_time(case, chip, stack).total - 1))
        )
    return sorted(((what, change) for what, change in found if abs(change) > 1e-4), key=lambda one: -abs(one[1]))
