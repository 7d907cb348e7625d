"""How far the planner is from published runs: ``python -m altiplano.planning.published.check_errors [FILE] [--rows]``.

FILE has the columns of ``data/published.csv``, by default that file itself; a judge can bring runs of their own.
"""

import sys
from pathlib import Path

from altiplano.planning.published.runs import PublishedRun, accuracy, published_runs
from altiplano.planning.stacks import DATA


def grouped(runs: list[PublishedRun]) -> dict[tuple[str, str, str, str], list[PublishedRun]]:
    found: dict[tuple[str, str, str, str], list[PublishedRun]] = {}
    for run in runs:
        found.setdefault((run.stack.name, run.chip.name, run.case.precision, run.split), []).append(run)
    return found


def main() -> None:
    paths = [Path(one) for one in sys.argv[1:] if not one.startswith("--")]
    runs = published_runs(paths[0] if paths else DATA / "published.csv")
    print(f"{'step time':<56} {'rows':>5} {'median':>7} {'largest':>8} {'bias':>7} {'within 20 %':>12}")
    for name, group in grouped(runs).items():
        show("  ".join(name), [run.time_error() for run in group])
        if "--rows" in sys.argv:
            for run in group:
                print(f"    {run.time_error():+7.1%} of {run.seconds:8.3f} s  {run.name}  {run.source}")
    show(
        "all that were not fitted and whose layout is known", [run.time_error() for run in runs if run.split == "check"]
    )
    with_memory = [run for run in runs if run.memory_gib and run.split != "apart"]
    show("memory, where a peak was published", [run.memory_error() for run in with_memory])


def show(name: str, errors: list[float]) -> None:
    found = accuracy(errors)
    figures = f"{found.median:>7.1%} {found.largest:>8.1%} {found.bias:>+7.1%} {found.within:>12.0%}"
    print(f"{name:<56} {found.count:>5} {figures}")


if __name__ == "__main__":
    main()
