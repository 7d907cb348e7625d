"""Write the job for a place, or hand it to what runs jobs there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from altiplano.errors import InputError
from altiplano.launch import kubernetes, local, slurm
from altiplano.launch.training_job import LaunchJob

PLACES = {"local": local.script, "slurm": slurm.script, "kubernetes": kubernetes.script}
SUBMIT = {"slurm": ["sbatch"], "kubernetes": ["kubectl", "apply", "-f", "-"]}


def launch(job: LaunchJob, place: str, out: Path | None, submit: bool) -> int:
    """Print the job, or write it to ``out``; with ``submit`` start it, too. The exit code of what took it.

    Raises InputError for an unknown place, and when what would take the job is not installed.
    """
    if place not in PLACES:
        raise InputError(f"--on {place}: choose one of {', '.join(PLACES)}")
    text = PLACES[place](job)
    if out is not None:
        out.write_text(text)
    elif not submit:
        sys.stdout.write(text)
    if not submit:
        return 0
    if place == "local":
        sys.stdout.flush()
        os.execvp("bash", ["bash", "-c", text])  # signals reach the job itself
    if shutil.which(SUBMIT[place][0]) is None:
        raise InputError(f"--submit: {SUBMIT[place][0]} is not on this machine; write the job with --out FILE instead")
    return subprocess.run(SUBMIT[place], input=text, text=True, check=False).returncode
