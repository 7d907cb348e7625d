"""What is to be started, the same for every place: which commands, on how many nodes, in which environment."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from altiplano.errors import InputError
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe

STAGES = ("train", "export", "evaluate", "calibrate", "redteam")
"""That several processes compute together."""
EXPORT_PROCESSES = 8
"""On each node that exports: each holds one tensor at a time, in two element types."""


@dataclass(frozen=True)
class LaunchJob:
    recipe: Recipe
    cluster: Cluster
    layout: Layout
    arguments: tuple[str, ...]
    """Of the stage's command: recipe, overrides, cluster, layout, as the user gave them."""
    workspace: Path
    nodes: int
    per_node: int
    """Processes on each node, one for each device."""
    stage: str = "train"

    @property
    def name(self) -> str:
        """A DNS label that leaves room for the endings which a JobSet adds (63 characters at most)."""
        ending = "" if self.stage == "train" else f"-{self.stage}"
        plain = re.sub(r"[^a-z0-9]+", "-", self.recipe.name).strip("-")[: 40 - len(ending)].strip("-")
        return f"altiplano-{plain}{ending}"

    @property
    def devices_per_node(self) -> int:
        """That a node must have for it."""
        return self.per_node if self.cluster.device == "cuda" and self.stage != "export" else 0

    @property
    def environment(self) -> dict[str, str]:
        return {
            # Time for a checkpoint between SIGTERM and SIGKILL; torchrun's own default is 30 s.
            "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(self.cluster.launch.save_seconds),
            **self.cluster.launch.environment,
        }

    def prepare(self, python: str, arguments: Sequence[str]) -> list[str]:
        """The stages before training, which one process computes; skipped when they are up to date."""
        return [python, "-m", "altiplano", "tokenize", *arguments]

    def check(self, python: str, arguments: Sequence[str]) -> list[str]:
        """Whether the stage is finished, by its exit status; computes nothing."""
        return [python, "-m", "altiplano", self.stage, *arguments, "--check"]

    def export(self, python: str, arguments: Sequence[str]) -> list[str]:
        """After training, without its devices: by as many processes as one machine has cores for."""
        return [python, "-m", "altiplano", "export", *arguments]

    def ranks(self, python: str, arguments: Sequence[str], head: str) -> list[str]:
        """One torchrun agent per node. ``head`` is the rendezvous: host and port of the first node; "" on one node."""
        rendezvous = ["--standalone"]
        if head:
            rendezvous = [f"--nnodes={self.nodes}", "--rdzv-backend=c10d"]
            rendezvous += [f"--rdzv-id={self.name}", f"--rdzv-endpoint={head}"]
        restarts = f"--max-restarts={self.cluster.launch.max_restarts}"
        agent = [python, "-m", "torch.distributed.run", *rendezvous, f"--nproc-per-node={self.per_node}", restarts]
        return [*agent, "-m", "altiplano", self.stage, *arguments]


def launch_job(
    recipe: Recipe,
    cluster: Cluster,
    layout: Layout,
    arguments: Sequence[str],
    workspace: Path,
    nodes: int | None,
    stage: str = "train",
) -> LaunchJob:
    """An export takes any number of ``nodes``, one by default. Raises InputError for an unknown stage, and when the
    layout of another one does not fill whole nodes, or not ``nodes`` of them."""
    if stage not in STAGES:
        raise InputError(f"--stage {stage}: choose one of {', '.join(STAGES)}")
    if stage == "export":
        return LaunchJob(recipe, cluster, layout, tuple(arguments), workspace, nodes or 1, EXPORT_PROCESSES, stage)
    on_cpu = cluster.device == "cpu"
    # Ranks on CPUs are processes, as many as are asked for; on GPUs there is one for each.
    per_node = cluster.launch.devices_per_node or (layout.world_size if on_cpu else cluster.devices)
    ranks = f"layout {layout} has {layout.world_size:,} ranks"
    if layout.world_size % per_node:
        raise InputError(
            f"{ranks}, which do not fill nodes of {per_node}; choose a layout with a multiple of that, "
            "or set launch.devices_per_node"
        )
    needed = layout.world_size // per_node
    if nodes is not None and nodes != needed:
        raise InputError(
            f"{ranks}, but --nodes {nodes} with {per_node} each have {nodes * per_node:,}; {needed} would do"
        )
    if not on_cpu and needed * per_node > cluster.devices:
        raise InputError(
            f"{ranks}, but cluster {cluster.name} has {cluster.devices:,} devices; choose a smaller layout"
        )
    return LaunchJob(recipe, cluster, layout, tuple(arguments), workspace, needed, per_node, stage)


def quoted(command: Sequence[str]) -> str:
    """A command for the shell, in lines of about a hundred characters."""
    lines = [""]
    for word in map(shlex.quote, command):
        if lines[-1] and len(lines[-1]) + len(word) > 100:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return " \\\n    ".join(lines)
