"""Whether something takes time by more than the length of its input: two lengths in one run, and a ratio."""

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")

FAST = 0.1
"""Seconds of the longer input below which nothing can be told, or matter."""


def seconds(call: Callable[[], object]) -> float:
    """Without collections of garbage, as ``timeit`` has it: they look at all that other tests left."""
    gc.disable()
    try:
        begin = time.process_time()
        call()
        return time.process_time() - begin
    finally:
        gc.enable()


def grows_faster_than_its_input(
    function: Callable[[T], object], make: Callable[[int], T], short: int = 4_000, times: int = 8
) -> str:
    """Empty, or how much longer `function(make(times * short))` takes than `function(make(short))`.

    The limit lies half way (in logarithms) between what grows by the length and what grows by its square: three
    times the length's own growth for eight times the length, since what no longer fits a cache takes twice its time.
    It is measured again before it is believed, since other programs run here: the best of each length so far counts.
    """
    function(make(short))  # what only the first call takes: imports, tables
    best = {short: float("inf"), short * times: float("inf")}
    for _ in range(4):
        for length, before in best.items():
            given = make(length)
            best[length] = min(before, seconds(partial(function, given)))
        quick, long = best.values()
        if long < FAST or long < times**1.5 * quick:
            return ""
    return f"{quick:.3f} s, then {long:.3f} s"
