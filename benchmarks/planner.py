"""The planner's step time beside the trainer's, on this machine: ``python benchmarks/planner.py [--demand 0.2]``.

Measures the machine as ``altiplano doctor --measure`` does, then steps of the quickstart, the small recipe and two
larger models with the trainer's own step. On a machine with nothing else to do. Exit status 1 when a prediction is
further off than demanded.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from contenders import altiplano
from sizes import benchmark_recipe, random_batch

from altiplano.planning.plan import make_plan
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.training.accounting.hardware import hardware_file


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demand", type=float, default=0.2, help="largest relative error")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--large", action="store_true", help="40M and 120M, too")
    options = parser.parse_args()
    recipes = {"quickstart": load_recipe("quickstart"), "small": load_recipe("small")}
    if options.large:
        recipes |= {size: benchmark_recipe(size, 1024, 4) for size in ("40M", "120M")}
    with tempfile.TemporaryDirectory() as folder:
        hardware = Path(folder, "this-machine.toml")
        hardware.write_text(hardware_file(torch.device("cpu")))
        cluster = load_cluster("laptop").model_copy(update={"chip": str(hardware)})
        missed = []
        for name, recipe in recipes.items():
            planned = make_plan(recipe, cluster, Layout()).seconds
            step, spent = altiplano(recipe, "cpu"), []
            batches = [random_batch(recipe, number, documents=True) for number in range(4)]
            for number in range(options.steps + 2):
                start = time.perf_counter()
                step(batches[number % 4])
                spent.append(time.perf_counter() - start)
            # The lower quartile: others may use the machine.
            measured = statistics.quantiles(spent[2:], n=4)[0]
            error = planned / measured - 1
            print(f"{name:<11} planned {planned:.3f} s, measured {measured:.3f} s: {error:+.1%}")
            missed += [name] * (abs(error) > options.demand)
    print(f"further off than {options.demand:.0%}: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
