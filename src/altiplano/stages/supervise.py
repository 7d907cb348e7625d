"""Watches over the process that watches over the ranks: passes signals on, and starts it again when it is killed."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from altiplano.errors import INTERRUPTED, StageFailed, TrainingError
from altiplano.parallel.processes import STOP_SIGNALS, to_stop
from altiplano.training.resilience import incidents

SECONDS_TO_END = 30.0
"""What a killed supervisor has started may take so long to be gone."""


def supervise(command: list[str], lock: int | None, folder: Path, restarts: int) -> int:
    """Run ``command`` until it ends by itself; its exit code. Killed, it is started again at most ``restarts`` times,
    and ``folder`` gets an incident. Raises TrainingError when that does not help.

    It has a process group of its own and every signal to stop is passed on, so that it does not matter who gets one: a
    terminal's Ctrl-C all processes of a group, ``kill`` one. It and its ranks hold the workspace's ``lock``, too: it is
    free when none of them is left, however they end.
    """
    for left in reversed(range(restarts + 1)):
        code, asked = run_to_its_end(command, lock)
        if code >= 0:
            return code
        if asked:
            raise StageFailed(INTERRUPTED)
        what = f"the supervisor was ended by {signal.Signals(-code).name}"
        action = "starting it again from the newest checkpoint" if left else f"again after {restarts} restarts: stopped"
        incidents.record(folder, "supervisor", what, action)
        if not left:
            raise TrainingError(f"{what}; {action}")
        print(f"altiplano: {what}; {action}", file=sys.stderr, flush=True)
    raise AssertionError


def run_to_its_end(command: list[str], lock: int | None) -> tuple[int, bool]:
    """The exit code of ``command``, minus the signal that killed it, and whether it was asked to stop. Raises
    TrainingError when its ranks outlive it."""
    ends, held = os.pipe()  # closed when the last process that inherited it is gone
    # Blocked, not ignored, while it starts: a Ctrl-C waits until it listens, and is neither lost nor a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    asked: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        asked.append(number)
        process.send_signal(number)

    try:
        descriptors = (held,) if lock is None else (held, lock)
        process = subprocess.Popen(command, pass_fds=descriptors, process_group=0)
        os.close(held)
        handlers = {number: signal.signal(number, pass_on) for number in to_stop()}
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            code = process.wait()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if code < 0 and not select.select([ends], [], [], SECONDS_TO_END)[0]:
            raise TrainingError(
                "what watched the ranks was killed, and they do not end: kill them; then the same command goes on"
            )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(ends)
    return code, bool(asked)
