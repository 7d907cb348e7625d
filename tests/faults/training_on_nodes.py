"""A training over nodes of one machine, and whoever starts a node's agent again that ended before its time."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtual_nodes import Node

from altiplano.launch.training_job import launch_job
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.records import LedgerEvent
from faults.runs import TINY

HERE = Path(__file__).parent
ROLLING, HANG_SECONDS = 10, 10
PATIENCE = 300
AGENT, RANK = "torch.distributed.run", "altiplano"


def recipe(steps: int) -> list[str]:
    return [
        *(value for value in TINY if not value.startswith(("batch.total", "checkpoint.", "evaluation.interval"))),
        f"batch.total_tokens={1024 * steps}",
        "precision.compute=float64",
        f"evaluation.interval_steps={steps}",
        f"checkpoint.interval_steps={steps}",
        f"checkpoint.rolling_steps={ROLLING}",
        "checkpoint.rolling_minutes=0",
        f"recovery.hang_seconds={HANG_SECONDS}",
        "recovery.init_seconds=90",
    ]


@dataclass(frozen=True)
class Run:
    """A training, and what happens to it."""

    name: str
    layout: str
    steps: int
    spare: int = 0
    """Nodes beside those that the layout fills, started when one of them is lost: see `docs/guides/launch.md`."""
    min_nodes: int = 0
    bound: float = 0.0
    """How far the largest of the final weights may be from the undisturbed one."""

    def arguments(self, workspace: Path, cluster: str = "laptop") -> list[str]:
        overrides = [f"--set={value}" for value in recipe(self.steps)]
        return ["quickstart", *overrides, "--cluster", cluster, "--layout", self.layout, "--workspace", str(workspace)]


class Training:
    """One run over nodes, and who starts an agent again that ended before its time."""

    def __init__(self, run: Run, folder: Path, nodes: Sequence[Node]):
        """``folder`` has the prepared workspace."""
        self.folder, self.workspace, self.nodes = folder, folder / "run", nodes
        self.raising = folder / "raise"
        description = folder / "cluster.toml"
        fewest = f"min_nodes = {run.min_nodes}\n" if run.min_nodes else ""
        description.write_text(
            'name = "nodes"\ndevice = "cpu"\nwatts_per_device = 1\n[launch]\n'
            f'devices_per_node = 1\npython = "{sys.executable}"\nsave_seconds = 30\n{fewest}'
            'environment = {OMP_NUM_THREADS = "1", GLOO_SOCKET_IFNAME = "eth0"}\n'
        )
        self.arguments = run.arguments(self.workspace, str(description))
        read = load_recipe("quickstart", recipe(run.steps)), load_cluster(str(description)), parse_layout(run.layout)
        job = launch_job(*read, self.arguments, self.workspace, None)
        self.command = job.ranks(sys.executable, self.arguments, head=f"{nodes[0].name}:29400")
        path = f"{HERE / 'at_start'}:{os.environ.get('PYTHONPATH', '')}"
        self.environment = {**os.environ, **job.environment, "RAISE_IN": str(self.raising), "PYTHONPATH": path}
        self.raising.mkdir()
        self.agents: dict[Node, Any] = {}
        self.past: list[LedgerEvent] = []
        self.read = 0
        for node in nodes[: job.nodes]:
            self.start(node)

    def start(self, node: Node) -> None:
        """The agent of a node, from now on again whenever it fails."""
        folder = self.folder / node.name
        folder.mkdir(exist_ok=True)
        self.agents[node] = node.start(self.command, folder / "agent.log", self.environment)

    def leave(self, node: Node) -> None:
        """Nobody starts it again."""
        self.agents.pop(node)

    def tend(self) -> None:
        """Start again what ended with an error on a node that is up."""
        for node, agent in [*self.agents.items()]:
            if node.init and agent.poll():
                print(f"  {node.name}: its agent ended with {agent.returncode}; starting it again", file=sys.stderr)
                self.start(node)

    def ended(self) -> bool:
        self.tend()
        return all(agent.poll() == 0 for agent in self.agents.values())

    def agent(self, node: Node) -> int:
        return node.processes(AGENT)[0]

    def ranks(self, *, but: Node | None = None) -> list[int]:
        """Process ids of the ranks of all nodes, or of all but one."""
        return [pid for node in self.agents if node is not but for pid in self.ranks_of(node)]

    def ranks_of(self, node: Node) -> list[int]:
        agents = node.processes(AGENT)
        return [pid for pid in node.processes(RANK) if pid not in agents]

    def events(self) -> list[LedgerEvent]:
        """All so far; only what is new is read."""
        for file in self.workspace.glob(".work/train-*/ledger.jsonl"):
            lines = file.read_bytes()[self.read :]
            whole = lines[: lines.rfind(b"\n") + 1]
            self.read += len(whole)
            self.past += [LedgerEvent.model_validate_json(line) for line in whole.splitlines()]
        return self.past

    def step(self) -> int:
        return max((event.step for event in self.events() if event.event == "step"), default=0)

    def said(self, text: str) -> bool:
        return any(text in log.read_text() for log in self.folder.glob("node*/agent.log"))

    def wait(self, until: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not until():
            self.tend()
            if time.monotonic() > end:
                raise Stuck(f"{what}: not within {PATIENCE} s")
            time.sleep(0.1)

    def weights(self) -> Path:
        """The finished training's weights, exported."""
        export = [sys.executable, "-m", "altiplano", "export", *self.arguments]
        done = subprocess.run(export, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Stuck(done.stderr)
        return next(self.workspace.glob("train/weights/*.safetensors"))

    def show_logs(self) -> None:
        for log in sorted(self.folder.glob("node*/agent.log")):
            print(f"--- {log.parent.name}\n{log.read_text()[-4000:]}", file=sys.stderr)


class Stuck(Exception):
    """What was waited for did not happen."""
