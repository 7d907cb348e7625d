"""A part of ``make fault-injection``: calls of the stage runner and of training on files fail."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from faults.injection import inject
from faults.injection.recorded import Class, Injector
from faults.injection.scenarios import Scenario

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


def test_a_fault_that_fails_every_time_is_tried_once_too_and_both_workspaces_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(injector: Injector) -> None:
        injector.shared[:16] = struct.pack("qq", 2, 2)

    monkeypatch.setattr(inject, "install", twice)
    monkeypatch.setattr(Scenario, "run", lambda *_: 3)
    campaign = inject.Campaign(Scenario("broken", (), ()), tmp_path, None)
    campaign.base.mkdir()
    campaign.wanted = {}
    inject.together(iter([campaign.disturb(Class("open", "here", "", "run/*.json"), 2, "EIO", 7)]))
    assert [(one["always"], one["problem"] != "") for one in campaign.outcomes] == [(True, True), (False, True)]
    assert {path.name for path in tmp_path.glob("case-*")} == {"case-7-always", "case-7"}


def test_a_case_that_goes_on_counts_each_outcome_once() -> None:
    case = {"stack": "a", "operation": "write", "kind": "k", "fault": "EIO"}
    always, once = case | {"always": True, "times": 3}, case | {"always": False, "times": 1}
    other = case | {"fault": "ENOSPC", "always": True, "times": 1}
    assert inject.whole([always, other]) == ([other], {("a", "write", "k", "ENOSPC")})  # ended between the two
    assert inject.whole([always, always, once])[0] == [always, once]
