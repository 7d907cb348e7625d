"""Ctrl-C, SIGTERM and SIGHUP (a closed terminal) save a checkpoint on all processes and end, after the step in progress
or, where this process already waits for that step's numbers, the one after it.

They may come more than once: SLURM sends them to every process of a job, the supervisor and torchrun pass them on as
well. Only another Ctrl-C a moment later, which a person means, stops without saving.
"""

import signal
import time

from altiplano.parallel.processes import STOP_SIGNALS, to_stop
from altiplano.records import StepMetrics
from altiplano.training.callbacks import Callback, TrainingRun

AGAIN_SECONDS = 1.0
"""Interrupts that come closer to one another are the same one by several ways."""


class Interruption(Callback):
    """Remembers a signal to stop; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.interrupted: float | None = None
        self.run: TrainingRun | None = None
        self._before = {number: signal.signal(number, self._remember) for number in to_stop()}
        # A rank is started with signals blocked; one that came meanwhile is delivered now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def _remember(self, number: int, frame: object) -> None:
        self.asked = True
        if self.run is not None:  # at once, as all are told with the numbers of this step
            self.run.should_stop = True
        if number == signal.SIGINT:
            now = time.monotonic()
            if self.interrupted is not None and now - self.interrupted > AGAIN_SECONDS:
                raise KeyboardInterrupt
            self.interrupted = self.interrupted or now

    def on_train_begin(self, run: TrainingRun) -> None:
        self.run = run

    def on_step_begin(self, run: TrainingRun) -> None:
        run.should_stop |= self.asked  # before this session began

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        run.should_stop |= self.asked

    def on_train_end(self, run: TrainingRun) -> None:
        run.results["signalled"] = self.asked and run.step < run.end
        self.restore()

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
