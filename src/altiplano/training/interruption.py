"""Ctrl-C and SIGTERM end the step in progress and save a checkpoint, on every process together."""

import signal

import torch
import torch.distributed as dist

from altiplano.parallel.mesh import Mesh

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

    def anywhere(self, mesh: Mesh) -> bool:
        """Whether any process was asked to stop: all must leave the loop at the same step."""
        flag = torch.tensor(float(self.asked), device=mesh.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
