"""Ctrl-C reaches every process of a terminal: the one that was asked says so, its workers say nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
from altiplano.execution.local import Processes

def work(task):
    print("works", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    print("begins", flush=True)
    workers = Processes(2)
    try:
        for _ in workers.run(work, range(4)):
            pass
    except KeyboardInterrupt:
        workers.close()
        sys.exit(130)
"""


@pytest.mark.parametrize(("line", "wait"), [("begins", 0.02), ("begins", 0.1), ("begins", 0.3), ("works", 0)])
def test_control_c_at_any_moment_is_silent(line: str, wait: float, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != line:
        pass
    time.sleep(wait)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")
