"""Programs of ours that begin at once: forked from a server that has imported PyTorch and what they import.

A fresh interpreter takes three seconds of a processor for that, more than most trainings of the tests. What a start
itself does is tested where programs start as users start them: ``faults.runs``, printed commands, torchrun, soaks.
"""

import importlib
import os
import signal
import subprocess
import sys
import traceback
from multiprocessing import get_context
from pathlib import Path

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["altiplano.training.supervisor", "torch._dynamo"])


class Forked:
    """``main()`` of ``module`` as a program with ``arguments``, in a process group of its own; of ``-c`` the first
    argument is the program's text. Of subprocess.Popen it has what the tests use; all that it writes goes to the file
    ``output``."""

    def __init__(self, module: str, arguments: list[str], output: Path):
        self.output = output
        self.process = CONTEXT.Process(
            target=_run, args=(module, arguments, str(output), dict(os.environ)), daemon=True
        )
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.process), timeout or 0.0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        self.wait(timeout)
        return self.output.read_text(errors="replace"), None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(module: str, *arguments: str, output: Path, timeout: float = 280) -> str:
    """What it writes; AssertionError when it fails."""
    program = Forked(module, list(arguments), output)
    try:
        written, _ = program.communicate(timeout)
    finally:
        program.kill()
    assert program.returncode == 0, written
    return written


def _run(module: str, arguments: list[str], output: str, environment: dict[str, str]) -> None:
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, errors="backslashreplace") for number in (1, 2))
    code = 1
    try:
        if module == "-c":
            sys.argv = [module, *arguments[1:]]
            exec(arguments[0], {"__name__": "__main__"})
            code = 0
        else:
            sys.argv = [module, *arguments]
            code = importlib.import_module(module).main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
