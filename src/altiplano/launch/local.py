"""All of this machine: a short shell script that ends in torchrun, or in the stage's own command on a CPU."""

import shlex
import sys

from altiplano.errors import InputError
from altiplano.launch.training_job import LaunchJob, quoted


def script(job: LaunchJob) -> str:
    """Raises InputError when the layout needs more than one node."""
    if job.nodes > 1:
        raise InputError(
            f"layout {job.layout} needs {job.nodes} nodes of {job.per_node} devices, local is one; "
            "choose --on slurm or kubernetes"
        )
    python = job.cluster.launch.python or sys.executable
    if job.cluster.device == "cpu":
        # Forks its ranks and looks after them itself: no interpreter per rank to start.
        ranks = [python, "-m", "altiplano", job.stage, *job.arguments]
    else:
        ranks = job.ranks(python, job.arguments, head="")
    lines = ["#!/bin/bash", "set -eu"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in job.environment.items()]
    if job.stage == "train":
        lines.append(quoted(job.prepare(python, job.arguments)))
    return "\n".join([*lines, "exec " + quoted(ranks)]) + "\n"
