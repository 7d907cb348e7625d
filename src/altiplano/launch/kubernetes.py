"""A Kubernetes JobSet: one pod per node, torchrun in each. Before training a pod computes the stages that it needs, and
after it one without devices writes the weights."""

import json
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from altiplano.errors import InputError
from altiplano.launch.training_job import LaunchJob, quoted

CONFIGURATION = "/etc/altiplano"
VOLUME = "/shared"
SECONDS_TO_END = 60


def script(job: LaunchJob) -> str:
    """A ConfigMap with the recipe and the cluster, and the JobSet that reads them.

    Raises InputError when the cluster file does not say which image and which volume.
    """
    launch = job.cluster.launch
    for key, what in (("image", "the image to run"), ("volume_claim", "the volume that pods share")):
        if not getattr(launch, key):
            raise InputError(f"cluster {job.cluster.name}: launch.{key} is missing: Kubernetes needs {what}")
    workspace = job.workspace if job.workspace.is_absolute() else Path(VOLUME) / job.workspace
    python = launch.python or "python"
    files = [f"{CONFIGURATION}/recipe.toml", "--cluster", f"{CONFIGURATION}/cluster.toml"]
    arguments = [*files, "--workspace", str(workspace)]
    # Pods of an indexed job have names; the first one's is the rendezvous.
    head = f"{job.name}-{job.stage}-0-0.{job.name}:{launch.port}" if job.nodes > 1 else ""
    # The layout of the command line takes the place of the cluster file's.
    cluster = job.cluster.model_copy(update={"layout": job.layout})
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A JSON string is a YAML string, whatever is in it.
    templates.filters["yaml"] = json.dumps
    return templates.get_template("jobset.yaml.jinja").render(
        job=job,
        launch=launch,
        recipe_toml=_toml(job.recipe.model_dump(mode="json", exclude_none=True)),
        cluster_toml=_toml(cluster.model_dump(mode="json", exclude_none=True)),
        environment={name: _unexpanded(value) for name, value in job.environment.items()},
        prepare=_unexpanded("exec " + quoted(job.prepare(python, arguments))),
        ranks=_unexpanded("exec " + quoted(job.ranks(python, arguments, head))),
        export=_unexpanded("exec " + quoted(job.export(python, arguments))),
        configuration=CONFIGURATION,
        volume=VOLUME,
        grace=job.save_seconds + SECONDS_TO_END,
    )


def _unexpanded(text: str) -> str:
    """Kubernetes replaces $(NAME) in commands and variables unless the dollar is doubled."""
    return text.replace("$(", "$$(")


def _toml(values: dict[str, Any]) -> str:
    return tomli_w.dumps(values)
