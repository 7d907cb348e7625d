"""Fit the constants tagged "fitted" on the rows marked "fit": ``python -m altiplano.planning.published.fit [--write]``.

Least squares on the logarithm of step time, with every constant drawn to its starting value, by coordinate search:
each in turn is moved up and down by a step that shrinks where it does not help. Nothing belongs to a single row.
"""

import math
import re
import sys
from dataclasses import dataclass
from typing import Any

from altiplano.planning.published.runs import PublishedRun, accuracy, published_runs
from altiplano.planning.stacks import DATA, physics, table

ROW_SIGMA, PRIOR_SIGMA = 0.015, 0.2
FILES = ("physics", "chips", "stacks")


@dataclass(frozen=True)
class Constant:
    """Where a number is: file, table, key, and its place in a list or under a name."""

    file: str
    section: str
    key: str
    place: tuple[str | int, ...] = ()

    @property
    def entry(self) -> dict[str, Any]:
        found = table(self.file)
        section: dict[str, dict[str, Any]] = found if self.file == "physics" else found[self.section]
        return section[self.key]

    def get(self) -> float:
        value: Any = self.entry["value"]
        for part in self.place:
            value = value[part]
        return float(value)

    def set(self, number: float) -> None:
        if not self.place:
            self.entry["value"] = number
            return
        value: Any = self.entry["value"]
        for part in self.place[:-1]:
            value = value[part]
        value[self.place[-1]] = number
        physics.cache_clear()

    def __str__(self) -> str:
        return ".".join(str(part) for part in (self.file, self.section, self.key, *self.place) if part != "")


def constants() -> list[Constant]:
    """All numbers tagged "fitted" in the data files."""
    found = []
    for file in FILES:
        sections = {"": table(file)} if file == "physics" else table(file)
        for section, entries in sections.items():
            for key, entry in entries.items():
                if isinstance(entry, dict) and entry.get("tag") == "fitted":
                    found += [Constant(file, section, key, place) for place in _places(entry["value"])]
    return found


def _places(value: Any) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [(key, *rest) for key, inner in value.items() for rest in _places(inner)]
    if isinstance(value, list):
        return [(number,) for number in range(len(value))]
    return [()]


def rows() -> list[PublishedRun]:
    physics.cache_clear()
    return [run for run in published_runs() if run.split == "fit"]


def cost(start: list[float], free: list[Constant]) -> float:
    errors = sum((math.log1p(run.time_error()) / ROW_SIGMA) ** 2 for run in rows())
    drawn = sum((math.log(one.get() / value) / PRIOR_SIGMA) ** 2 for one, value in zip(free, start, strict=True))
    return errors + drawn


def fit(rounds: int = 40) -> dict[str, tuple[float, float]]:
    """The constants before and after; the tables in memory are changed."""
    free = constants()
    start = [one.get() for one in free]
    steps = [0.1] * len(free)
    best = cost(start, free)
    for _ in range(rounds):
        for number, one in enumerate(free):
            here = one.get()
            for factor in (1 + steps[number], 1 / (1 + steps[number])):
                one.set(here * factor)
                tried = cost(start, free)
                if tried < best:
                    best, steps[number] = tried, min(0.3, steps[number] * 1.5)
                    break
                one.set(here)
            else:
                steps[number] *= 0.5
        if max(steps) < 0.002:
            break
    return {str(one): (before, one.get()) for one, before in zip(free, start, strict=True)}


def write() -> None:
    """The tables in memory into the data files, number by number."""
    for one in constants():
        path = DATA / f"{one.file}.toml"
        text = path.read_text(encoding="utf-8")
        section = text.index(f"[{one.section}]") if one.section else 0
        at = re.compile(rf"^{one.key} = \{{value = (.*?), tag", re.MULTILINE).search(text, section)
        if at is None:
            raise ValueError(f"{one} is not on a line of its own in {path}")
        path.write_text(text[: at.start(1)] + _spelled(one.entry["value"]) + text[at.end(1) :], encoding="utf-8")


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_spelled(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_spelled(inner) for inner in value) + "]"
    return f"{value:.4g}"


def main() -> None:
    before = accuracy(run.time_error() for run in rows())
    for name, (old, new) in fit().items():
        print(f"{name:50} {old:10.4g} {new:10.4g}")
    after = accuracy(run.time_error() for run in rows())
    print(f"{after.count} rows: median error {before.median:.1%} before, {after.median:.1%} after")
    if "--write" in sys.argv:
        write()


if __name__ == "__main__":
    main()
