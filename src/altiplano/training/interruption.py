"""Ctrl-C and SIGTERM end the step in progress and save a checkpoint, on every process together."""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Remembers a signal to stop; the second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        # A rank is started with SIGINT blocked; one that came meanwhile is delivered now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _remember(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
