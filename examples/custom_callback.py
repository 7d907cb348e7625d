"""Stop training when held-out text no longer gets better, and print the loss now and then.

python examples/custom_callback.py [PATIENCE]    (evaluations without an improvement; 2 if it is not given)
"""

import sys
from typing import Any

import altiplano


class StopEarly(altiplano.Callback):
    def __init__(self, patience: int):
        self.patience, self.best, self.waited = patience, float("inf"), 0

    def on_log(self, run: altiplano.TrainingRun, metrics: Any) -> None:
        if run.step % 20 == 0 and run.is_writer:
            print(f"step {run.step}: loss {metrics['loss']:.3f}")

    def on_evaluate(self, run: altiplano.TrainingRun, scores: Any) -> None:
        bits = scores["total"]["bits_per_byte"]
        self.waited = 0 if bits < self.best else self.waited + 1
        self.best = min(bits, self.best)
        run.should_stop |= self.waited >= self.patience


def main(patience: int = 2) -> None:
    recipe = altiplano.load_recipe("quickstart", {"evaluation.interval_steps": 20})
    run = altiplano.train(recipe, "runs/early", callbacks=[StopEarly(patience)])
    print(run.metrics["loss"].tail())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
