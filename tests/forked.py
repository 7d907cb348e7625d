"""Programs of ours that begin at once: forked from a server that has imported PyTorch and what they import.

A fresh interpreter takes three seconds of a processor for that, more than most trainings of the tests. All have the
server's hash seed. What a start itself does, and what another seed would, is tested where programs start as users start
them: ``faults.runs``, printed commands, torchrun, soaks.
"""

import atexit
import importlib
import os
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from altiplano.parallel.processes import die_with_parent

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["altiplano.training.supervisor", "torch._dynamo"])


class Forked:
    """``main()`` of ``module`` as a program with ``arguments``, in a process group of its own; of ``-c`` the first
    argument is the program's text. Of subprocess.Popen it has what the tests use, but that it is killed when it takes
    longer than it is waited for; all that it writes goes to the file ``output``."""

    def __init__(self, module: str, arguments: list[str], output: Path):
        self.module, self.output = module, output
        self.process = CONTEXT.Process(
            target=_run, args=(module, arguments, str(output), dict(os.environ)), daemon=True
        )
        self.process.start()
        atexit.register(self._end)  # else Python would ask it to end, and wait for as long as it takes

    def _end(self) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has no group of its own yet
                os.killpg(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.join()

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
            self._end()
            raise subprocess.TimeoutExpired(f"{self.module}, whose output is in {self.output}", timeout or 0.0)
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
    written, _ = program.communicate(timeout)
    assert program.returncode == 0, written
    return written


def _run(module: str, arguments: list[str], output: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.closerange(3, 256)  # among them what tells the server that whoever started it is there
    die_with_parent()
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
