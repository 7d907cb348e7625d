"""Ctrl-C and SIGTERM end the step in progress and save a checkpoint, on every process together.

SIGTERM may come more than once: SLURM sends it to every process of a job, torchrun passes it on as well. Only a second
Ctrl-C, which a person means, stops without saving.
"""

import signal

from altiplano.records import StepMetrics
from altiplano.training.callbacks import Callback, TrainingRun

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption(Callback):
    """Remembers a signal to stop; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.interrupts = 0
        self._before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        # A rank is started with SIGINT blocked; one that came meanwhile is delivered now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _remember(self, number: int, frame: object) -> None:
        self.asked = True
        self.interrupts += number == signal.SIGINT
        if self.interrupts > 1:
            raise KeyboardInterrupt

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        run.should_stop |= self.asked

    def on_train_end(self, run: TrainingRun) -> None:
        run.results["signalled"] = self.asked and run.step < run.end
        self.restore()

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
