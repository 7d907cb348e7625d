"""A SLURM batch script: one torchrun agent per node, saved and queued again before the time limit."""

import shlex
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from altiplano.errors import InputError
from altiplano.launch.training_job import LaunchJob, quoted

SECONDS_TO_END = 60
"""Beyond saving: the step that is under way, and taking leave."""
SECONDS_EARLY = 60
"""SLURM may tell a job so much earlier than it was asked to."""
MOST_NOTICE = 65535


def seconds(limit: str) -> int:
    """A time limit as SLURM reads it: minutes, minutes:seconds, hours:minutes:seconds, or after days- hours first."""
    days, dash, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":") if part]
    units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
    return int(days or 0) * 86400 + sum(part * unit for part, unit in zip(parts, units, strict=False))


def script(job: LaunchJob) -> str:
    """Raises InputError for a value that a line of ``#SBATCH`` cannot hold, and a limit too short to save before it."""
    launch, python, save = job.cluster.launch, job.cluster.launch.python or sys.executable, job.save_seconds
    for key in ("partition", "account"):
        value = getattr(launch, key)
        if value and not value.replace("-", "").replace("_", "").replace(",", "").replace(".", "").isalnum():
            raise InputError(f"cluster {job.cluster.name}: launch.{key} = {value!r} is not a name that SLURM knows")
    least = save + SECONDS_TO_END + SECONDS_EARLY
    limit = seconds(launch.time_limit) if launch.time_limit else 0
    if 0 < limit <= least:  # SLURM takes 0 for none
        raise InputError(
            f"cluster {job.cluster.name}: launch.time_limit = {launch.time_limit!r} is {limit:,} s, and SLURM may tell "
            f"the job to stop {least:,} s before its end (launch.save_seconds = {save}, and "
            f"{SECONDS_TO_END + SECONDS_EARLY} more): it would never train; choose a longer one"
        )
    if save + SECONDS_TO_END > MOST_NOTICE:
        raise InputError(
            f"cluster {job.cluster.name}: launch.save_seconds = {save:,}: SLURM can tell a job at most "
            f"{MOST_NOTICE:,} s before its end; choose {MOST_NOTICE - SECONDS_TO_END:,} or less"
        )
    # The first host is known to the running script alone, so its name is the one word that the shell expands.
    marker = "HEAD-OF-THE-JOB"
    ranks = quoted(job.ranks(python, job.arguments, head=marker if job.nodes > 1 else ""))
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
        check=quoted(job.check(python, job.arguments)),
        checkpoints=f"{shlex.quote(str(job.workspace))}/.work/train-*/checkpoints/step-*",
        ranks=ranks.replace(f"--rdzv-endpoint={marker}", f'--rdzv-endpoint="$head":{launch.port}'),
        notice=save + SECONDS_TO_END,
    )
