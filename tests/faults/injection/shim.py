"""The shim between this process and libc: compiled, preloaded, and told which calls fail."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
SHORT, TORN_AND_DEAD, DEAD, MEMORY = -1, -2, -3, -4
"""Answers beside 0 (go on) and numbers of errors: see shim.c."""
ASK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)


def compile_shim(folder: Path) -> Path:
    """The shared library, in ``folder``. Raises CalledProcessError or FileNotFoundError without a C compiler."""
    library = folder / "shim.so"
    if not library.exists():
        command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
    return library


def run_preloaded(library: Path, arguments: list[str], **more: str) -> int:
    """A Python program whose every call to libc passes the shim; its exit code."""
    environment = {**os.environ, **more, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], env=environment, check=False).returncode


def watch(folder: Path, ask: Callable[[str, str], int]) -> None:
    """From now on ask before every call on a file below ``folder``, in this process and those that it forks."""
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])

    @ASK
    def answer(operation: bytes, path: bytes) -> int:
        return ask(operation.decode(), os.fsdecode(path))

    watch.kept = answer  # type: ignore[attr-defined]  # C holds no reference to it
    library.injection_start(os.fsencode(folder), answer)
