"""A part of ``make fault-injection``: calls of the stage runner and of training on files fail."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INJECT = Path(__file__).parent / "injection" / "inject.py"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(INJECT.parents[2]), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.skipif(not shutil.which("cc"), reason="a C compiler makes the shim")
def test_no_fault_in_the_stage_runner_loses_anything_or_goes_unexplained(tmp_path: Path) -> None:
    command = [sys.executable, str(INJECT), "--only", "stages", "--share", "1/3", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["faults"] > 60


@pytest.mark.skipif(not shutil.which("cc"), reason="a C compiler makes the shim")
@pytest.mark.slow
def test_a_sample_of_faults_in_training_and_its_checkpoints(tmp_path: Path) -> None:
    command = [sys.executable, str(INJECT), "--only", "resume", "--share", "1/60", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
