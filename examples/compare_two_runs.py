"""Which of two runs learned more from the same number of tokens?

python examples/compare_two_runs.py RUN OTHER    (two folders of finished or unfinished runs)
"""

import sys

import altiplano


def main(first: str, second: str) -> None:
    totals = {
        name: altiplano.open_run(name).heldout.xs("total", level="group").set_index("tokens_seen")["bits_per_byte"]
        for name in (first, second)
    }
    shared = totals[first].index.intersection(totals[second].index)
    if shared.empty:
        sys.exit("the two runs were never evaluated after the same number of tokens")
    print(f"{'tokens':>16}  {first:>20}  {second:>20}  bits per byte of held-out text")
    for tokens in shared:
        print(f"{tokens:>16,}  {totals[first][tokens]:>20.4f}  {totals[second][tokens]:>20.4f}")
    better = min(totals, key=lambda name: totals[name][shared[-1]])
    print(f"{better} is better after {shared[-1]:,} tokens")


if __name__ == "__main__":
    main(*sys.argv[1:])
