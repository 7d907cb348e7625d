"""A SLURM batch script: one torchrun agent per node, saved and queued again before the time limit."""

import shlex
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from altiplano.errors import InputError
from altiplano.launch.job import LaunchJob, quoted

SECONDS_TO_END = 60
"""Beyond saving: the step that is under way, and taking leave."""


def script(job: LaunchJob) -> str:
    """Raises InputError for a value that a line of ``#SBATCH`` cannot hold."""
    launch, python = job.cluster.launch, job.cluster.launch.python or sys.executable
    for key in ("partition", "account"):
        value = getattr(launch, key)
        if value and not value.replace("-", "").replace("_", "").replace(",", "").replace(".", "").isalnum():
            raise InputError(f"cluster {job.cluster.name}: launch.{key} = {value!r} is not a name that SLURM knows")
    # The first host is known to the running script alone, so its name is the one word that the shell expands.
    marker = "HEAD-OF-THE-JOB"
    train = quoted(job.train(python, job.arguments, head=marker if job.nodes > 1 else ""))
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template("slurm.sh.jinja").render(
        job=job,
        launch=launch,
        directory=shlex.quote(str(Path.cwd())),
        environment={name: shlex.quote(value) for name, value in job.environment.items()},
        prepare=quoted(job.prepare(python, job.arguments)),
        train=train.replace(f"--rdzv-endpoint={marker}", f'--rdzv-endpoint="$head":{launch.port}'),
        notice=launch.save_seconds + SECONDS_TO_END,
    )
