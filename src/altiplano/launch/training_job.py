"""What is to be started, the same for every place: which commands, on how many nodes, in which environment."""

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from altiplano.errors import InputError
from altiplano.planning.model_size import parameters
from altiplano.planning.plan import make_plan
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, check_layout
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import last_training, layout_of, trainings

STAGES = ("tokenize", "train", "export", "evaluate", "calibrate", "redteam")
WITHOUT_DEVICES = ("tokenize", "export")
EXPORT_PROCESSES = 8
"""On each node that exports: each holds one tensor at a time, in two element types."""
STACK = "altiplano"
LEAST_SAVE_SECONDS = 120
TRAINED_BYTES = 12
"""A parameter's weight and two moments in float32."""
GPU_ENVIRONMENT = {
    # Buffers of many sizes, as gradients, gathered weights and logits are, otherwise leave holes.
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
}
NODE_BANDWIDTH = 1e9
"""Bytes a second that a node writes to, and reads from, shared storage. Assumed: Llama 3's 2 TB/s (Grattafiori et al.
2024, section 3.3.1) over its 2,000 nodes."""


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
    min_nodes: int = 0
    """It goes on with as few when others are lost; 0: with all or none."""

    @property
    def name(self) -> str:
        """A DNS label that leaves room for the endings which a JobSet adds (63 characters at most)."""
        ending = "" if self.stage == "train" else f"-{self.stage}"
        plain = re.sub(r"[^a-z0-9]+", "-", self.recipe.name).strip("-")[: 40 - len(ending)].strip("-")
        return f"altiplano-{plain}{ending}"

    @property
    def devices_per_node(self) -> int:
        """That a node must have for it."""
        return self.per_node if self.cluster.device == "cuda" and self.stage not in WITHOUT_DEVICES else 0

    @property
    def save_seconds(self) -> int:
        """What ranks are given between the request to stop and their end."""
        return self.cluster.launch.save_seconds or max(
            planned_save_seconds(one.recipe, self.cluster, layout_of(one, self.cluster, self.layout))
            for one in trainings(self.recipe)
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            # Time for a checkpoint between SIGTERM and SIGKILL; torchrun's own default is 30 s.
            "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(self.save_seconds),
            # Agents count their restarts each for itself, and the shared store is ordered by that count: after a fault
            # on one of several nodes ranks would look for each other under different names (pytorch#135712). Without
            # it every round has a store of its own.
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
            **(GPU_ENVIRONMENT if self.devices_per_node else {}),
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
        """One torchrun agent per node. ``head`` is the rendezvous: host and port of the first node; "" on one node.
        Curating and tokenizing need none: one process starts a worker for each core, or gives the work to Ray."""
        if self.stage == "tokenize":
            return self.prepare(python, arguments)
        rendezvous = ["--standalone"]
        if head:
            nodes = f"{self.min_nodes}:{self.nodes}" if self.min_nodes else f"{self.nodes}"
            rendezvous = [f"--nnodes={nodes}", "--rdzv-backend=c10d"]
            rendezvous += [f"--rdzv-id={self.name}", f"--rdzv-endpoint={head}"]
        restarts = f"--max-restarts={self.cluster.launch.max_restarts}"
        agent = [python, "-m", "torch.distributed.run", *rendezvous, f"--nproc-per-node={self.per_node}", restarts]
        return [*agent, "-m", "altiplano", self.stage, *arguments]


def planned_save_seconds(recipe: Recipe, cluster: Cluster, layout: Layout) -> int:
    """Two steps, as ranks that wait for one's numbers hear of it in the next, the copy of the state, and its way to the
    disk and back, as planned; LEAST_SAVE_SECONDS where the cluster does not say enough to plan it. A step takes what is
    the upper end of its interval."""
    if cluster.device == "cpu" or not cluster.chip:
        return LEAST_SAVE_SECONDS
    plan = make_plan(recipe, cluster.model_copy(update={"devices": layout.world_size}), layout, cluster.stack or STACK)
    nodes = layout.world_size / (cluster.launch.devices_per_node or cluster.devices)
    written = TRAINED_BYTES * parameters(recipe.model) / (nodes * NODE_BANDWIDTH)
    operation = cluster.operation
    steps = 2 * (1 + plan.uncertainty) * plan.seconds
    needed = steps + operation.save_seconds + max(operation.write_seconds, 2 * written)
    return max(LEAST_SAVE_SECONDS, math.ceil(needed))


def launch_job(
    recipe: Recipe,
    cluster: Cluster,
    layout: Layout,
    arguments: Sequence[str],
    workspace: Path,
    nodes: int | None,
    stage: str = "train",
) -> LaunchJob:
    """An export takes any number of ``nodes``, one by default, and ``tokenize`` one. Raises InputError for an unknown
    stage, and when the layout of another one does not fill whole nodes, or not ``nodes`` of them, or a phase needs
    others."""
    if stage not in STAGES:
        raise InputError(f"--stage {stage}: choose one of {', '.join(STAGES)}")
    if stage == "tokenize":
        if nodes not in (None, 1):
            raise InputError(f"--nodes {nodes}: --stage tokenize is one process; on several nodes it works through Ray")
        return LaunchJob(recipe, cluster, layout, tuple(arguments), workspace, 1, 1, stage)
    if stage == "export":
        return LaunchJob(recipe, cluster, layout, tuple(arguments), workspace, nodes or 1, EXPORT_PROCESSES, stage)
    # The others score what was trained last, by its layout.
    done = trainings(recipe) if stage == "train" else (last_training(recipe),)
    first = layout_of(done[0], cluster, layout)
    on_cpu = cluster.device == "cpu"
    # Ranks on CPUs are processes, as many as are asked for; on GPUs there is one for each.
    per_node = cluster.launch.devices_per_node or (first.world_size if on_cpu else cluster.devices)
    ranks = f"layout {first} has {first.world_size:,} ranks"
    if first.world_size % per_node:
        raise InputError(
            f"{ranks}, which do not fill nodes of {per_node}; choose a layout with a multiple of that, "
            "or set launch.devices_per_node"
        )
    needed = first.world_size // per_node
    if nodes is not None and nodes != needed:
        raise InputError(
            f"{ranks}, but --nodes {nodes} with {per_node} each have {nodes * per_node:,}; {needed} would do"
        )
    if not on_cpu and needed * per_node > cluster.devices:
        raise InputError(
            f"{ranks}, but cluster {cluster.name} has {cluster.devices:,} devices; choose a smaller layout"
        )
    fewest = cluster.launch.min_nodes or 0
    for training in done:
        its = layout_of(training, cluster, layout)
        if its.world_size != first.world_size and not (on_cpu and needed == 1):  # which forks as many as it needs
            raise InputError(
                f"{ranks}, and phase {training.phase} is trained by {its.world_size:,} ({its}), in the same job; "
                "choose layouts with as many ranks, or --layout auto"
            )
        if fewest:
            _check_fewer(training.recipe, its, fewest, needed, per_node)
    return LaunchJob(recipe, cluster, layout, tuple(arguments), workspace, needed, per_node, stage, fewest)


def _check_fewer(recipe: Recipe, layout: Layout, fewest: int, nodes: int, per_node: int) -> None:
    """Raise InputError unless training can go on with every number of nodes from ``fewest`` to ``nodes``."""
    key = f"launch.min_nodes = {fewest}"
    if fewest > nodes:
        raise InputError(f"{key}: layout {layout} fills {nodes} nodes; choose {nodes} or fewer, or leave it out")
    if per_node % layout.model_parallel:
        raise InputError(
            f"{key}: a node of {per_node} devices holds no whole number of data-parallel ranks of layout {layout} "
            f"(cp × tp × pp = {layout.model_parallel:,}), so it cannot be spared; leave it out: the job is queued "
            "again on other nodes"
        )
    for count in range(fewest, nodes):
        check_layout(layout.on_ranks(count * per_node), recipe)


def quoted(command: Sequence[str]) -> str:
    """A command for the shell, in lines of about a hundred characters."""
    lines = [""]
    for word in map(shlex.quote, command):
        if lines[-1] and len(lines[-1]) + len(word) > 100:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return " \\\n    ".join(lines)
