"""Programs that a model wrote, in a process of their own: without network, writing into one folder alone, with limits.

What a program may still do is read the files that this user can read: where secrets lie about, use a container.
"""

import subprocess
import sys
import tempfile

from altiplano.benchmarks import confined
from altiplano.errors import InputError

SECONDS = 2.0 * confined.SECONDS


def passes(program: str, tests: str) -> bool:
    """Whether ``program`` and then ``tests`` run to their end. Raises InputError where they cannot be confined."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", confined.__file__, folder],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            said, complaint = process.communicate((program + "\n" + tests).encode("utf-8", "replace"), timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()  # and with it whatever it started
            process.communicate()
            return False
    if said != confined.READY:
        why = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise InputError(
            f"--run-code: programs cannot be confined here ({why}): it takes Linux 5.13 with Landlock and namespaces; "
            "leave it out, or use a machine or container that has them"
        )
    return process.returncode == 0
