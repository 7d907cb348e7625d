"""Print the loss now and then, and stop training when held-out text no longer gets better.

python examples/custom_callback.py [RECIPE]    (a recipe's name or file; quickstart if it is not given)
"""

import sys

import altiplano


class StopEarly(altiplano.Callback):
    def __init__(self, patience: int):
        self.patience, self.best, self.waited = patience, float("inf"), 0

    def on_log(self, run, metrics):
        if run.step % 20 == 0 and run.is_writer:
            print(f"step {run.step}: loss {metrics.loss:.3f}")

    def on_evaluate(self, run, scores):
        bits = scores.total.bits_per_byte
        self.waited = 0 if bits < self.best else self.waited + 1
        self.best = min(bits, self.best)
        run.should_stop |= self.waited >= self.patience


def main(name: str = "quickstart") -> None:
    recipe = altiplano.load_recipe(name)
    run = altiplano.train(recipe, f"runs/{recipe.name}-early", callbacks=[StopEarly(patience=2)])
    print(run.metrics["loss"].tail())


if __name__ == "__main__":
    main(*sys.argv[1:])
