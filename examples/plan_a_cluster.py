"""How long does Llama 3.1 8B take on 8, 16, … GPUs, and what is a sensible number?

python examples/plan_a_cluster.py [RECIPE]    (a recipe's name or file; llama-3.1-8b if it is not given)
"""

import sys

import altiplano


def main(name: str = "llama-3.1-8b") -> None:
    recipe = altiplano.load_recipe(name)
    print(f"{'GPUs':>6}  {'layout':<28} {'days':>8}  {'GPU-hours':>12}  {'memory':>8}")
    for devices in (8, 16, 32, 64, 128, 256):
        try:
            plan = altiplano.plan(recipe, "h100-8", devices=devices)
        except altiplano.InputError as error:
            print(f"{devices:>6}  {error}")
            continue
        bill = plan.bill(plan.ettr)
        memory = f"{plan.fullest.total / 2**30:.0f} GiB"
        print(
            f"{devices:>6}  {plan.case.parallelism!s:<28} {bill.days:>8.1f}  {bill.device_hours:>12,.0f}  {memory:>8}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
