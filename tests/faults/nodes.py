"""``make nodes``: training on several nodes in which every kind of fault happens, beside an undisturbed one.

    python tests/faults/nodes.py [--only WORD]

Nodes are namespaces of this machine (``virtual_nodes.py``): own names, processes and networks, the disk in common. On
each runs the command of ``altiplano launch``, and whoever starts it again when it ends, as a pod or a service would be.
Prints a table of fault, how long until the ranks that it did not touch were stopped, how long until a step was taken
again, and how many steps were lost. Exits 1 unless every fault was survived, none cost more than the rolling interval
where a save had come before it, and the final weights are those of the undisturbed run: the same bytes, and after a
change of layout the same within rounding. Needs root.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import alive
from safetensors.torch import load_file
from virtual_nodes import Network, Node, missing

from altiplano.recipe.layout import parse_layout
from altiplano.storage import digest
from altiplano.training.accounting import ledger
from faults.training_on_nodes import ROLLING, Run, Stuck, Training, recipe

BETWEEN = 2 * ROLLING + 4
"""Steps before the next fault: a checkpoint counts by then."""
MEANWHILE = 5
"""Steps that may be taken while a checkpoint is written."""
PATIENCE = 300

Act = Callable[[Training, Node], None]


@dataclass(frozen=True)
class Fault:
    kind: str
    node: int
    """The one that it hits."""
    happen: Act
    then: Act | None = None
    """What follows: the node comes back, a spare takes its place."""
    after: float = 0.0
    """Seconds until it follows, or less when ``until`` is said before."""
    until: str = ""
    goes_on: bool = False
    """Training does, beside it: nobody is stopped."""


@dataclass
class Found:
    kind: str
    nodes: int
    step: int = 0
    noticed: float | None = None
    again: float | None = None
    """Seconds from the fault until the ranks that it did not touch were stopped, and until a step was taken again."""
    lost: int | None = None
    problem: str = ""
    layout: str = ""


def kill(pids: Sequence[int], number: int) -> None:
    if not pids:
        raise Stuck("nothing to send a signal to")
    for pid in pids:
        os.kill(pid, number)


def start_on_spare(training: Training, node: Node) -> None:
    training.leave(node)
    training.start(next(one for one in training.nodes if one.init and one not in training.agents))


def come_back(training: Training, node: Node) -> None:
    if not node.init:
        node.boot()
    if training.agents.get(node) is None or training.agents[node].poll() is not None:
        training.start(node)


def cannot_write(training: Training, node: Node) -> None:
    """No file of its ranks may become larger than a heartbeat."""
    for pid in training.ranks_of(node):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))


def can_write(training: Training, node: Node) -> None:
    for pid in training.ranks_of(node):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def kill_while_saving(training: Training, node: Node) -> None:
    ranks = training.ranks_of(node)
    wait_for_a_save(training)
    kill(ranks, signal.SIGKILL)


def crash_while_saving(training: Training, node: Node) -> None:
    wait_for_a_save(training)
    node.crash()


def wait_for_a_save(training: Training) -> None:
    while not any(training.workspace.glob(".work/train-*/checkpoints/.step-*")):
        time.sleep(0.001)


def wake_agent(training: Training, node: Node) -> None:
    kill([training.agent(node)], signal.SIGCONT)
    node.wake()


def to_agent(number: int) -> Act:
    return lambda training, node: kill([training.agent(node)], number)


def to_rank(number: int) -> Act:
    return lambda training, node: kill(training.ranks_of(node), number)


TWO_NODES = [
    Fault("a rank killed", 1, to_rank(signal.SIGKILL)),
    Fault("the first rank killed", 0, to_rank(signal.SIGKILL)),
    Fault("a rank killed while a checkpoint is written", 1, kill_while_saving),
    Fault("an exception in a rank", 1, lambda training, node: (training.raising / node.name).touch()),
    Fault("a rank hangs (SIGSTOP)", 1, to_rank(signal.SIGSTOP)),
    Fault("an agent killed", 1, to_agent(signal.SIGKILL)),
    Fault("an agent stopped for 20 s", 1, to_agent(signal.SIGSTOP), wake_agent, 20, goes_on=True),
    Fault("a node preempted (SIGTERM to its agent)", 1, to_agent(signal.SIGTERM)),
    Fault("the node of the rendezvous preempted", 0, to_agent(signal.SIGTERM)),
    Fault("a node cannot write its part of a checkpoint", 1, cannot_write, can_write, 60, "no checkpoint at", True),
    Fault("a node crashes and comes back", 1, lambda _, node: node.crash(), come_back, 5),
    Fault("a node loses power and comes back", 1, lambda _, node: node.lose_power(), come_back, 5),
    Fault("the network of a node cut for 25 s", 1, lambda _, node: node.cut(), lambda _, node: node.mend(), 25),
    Fault("the node of the rendezvous crashes and comes back", 0, lambda _, node: node.crash(), come_back, 5),
    Fault("a node lost for good, a spare takes its place", 1, lambda _, node: node.crash(), start_on_spare, 5),
]

FEWER_NODES = [
    Fault("a node lost for good during a save, the job goes on without it", 1, crash_while_saving, Training.leave),
    Fault("a lost node is back, the job takes it in", 1, come_back),
]
FOUR_NODES = [
    Fault("a rank killed", 2, to_rank(signal.SIGKILL)),
    Fault("a node preempted (SIGTERM to its agent)", 1, to_agent(signal.SIGTERM)),
    Fault("a node crashes and comes back", 3, lambda _, node: node.crash(), come_back, 5),
    Fault("a node lost for good, a spare takes its place", 2, lambda _, node: node.crash(), start_on_spare, 5),
]
RUNS = {
    Run("two nodes", "dp2", 500, spare=1): TWO_NODES,
    Run("fewer nodes", "dp2", 150, min_nodes=1, bound=1e-6): FEWER_NODES,
    Run("four nodes", "dp4", 200, spare=1): FOUR_NODES,
}


def suffer(training: Training, fault: Fault) -> Found:
    """One fault, from when training is well under way until it is so again."""
    node = training.nodes[fault.node]
    newest = ledger.newest_published
    begun = max((event.step for event in training.events() if event.event == "resume"), default=0)
    training.wait(lambda: newest(training.events()) > begun and training.step() >= begun + BETWEEN, "training")
    others = training.ranks(but=node)
    fault.happen(training, node)
    found = Found(fault.kind, len(training.agents), training.step())
    at, end, followed = time.time(), time.monotonic() + PATIENCE, fault.then is None
    while True:
        now = time.time()
        if found.noticed is None and not all(map(alive, others)):
            found.noticed = now - at
        if not followed and (now - at > fault.after or (fault.until and training.said(fault.until))):
            followed = True
            assert fault.then is not None
            fault.then(training, node)
        training.tend()
        events = training.events()
        resumed = next((event for event in events if event.event == "resume" and event.time > at), None)
        if followed and fault.goes_on and training.step() > found.step + BETWEEN and newest(events) > found.step:
            found.lost, found.problem = 0, "training did not go on beside it" if resumed else ""
            return found
        steps = [event for event in events if event.event == "step" and resumed and event.time > resumed.time]
        if resumed and steps:
            found.again = steps[0].time - at
            taken = max(event.step for event in events if event.event == "step" and event.time < resumed.time)
            found.lost = taken - resumed.step
            found.layout = next(event.layout for event in reversed(events) if event.event == "start") or ""
            return found
        if time.monotonic() > end:
            found.problem = f"no step again within {PATIENCE} s"
            return found
        time.sleep(0.05)


def show(found: Sequence[Found]) -> None:
    print(f"{'fault':70} {'nodes':>5} {'step':>5} {'noticed':>9} {'again':>9} {'lost':>5}")
    for row in found:
        times = [f"{value:8.1f}s" if value is not None else f"{'-':>9}" for value in (row.noticed, row.again)]
        print(f"{row.kind:70} {row.nodes:5} {row.step:5} {' '.join(times)} {row.lost!s:>5} {row.layout} {row.problem}")


def prepare(workspace: Path) -> None:
    tokenize = [sys.executable, "-m", "altiplano", "tokenize", "quickstart", "--workspace", str(workspace)]
    subprocess.run([*tokenize, *(f"--set={value}" for value in recipe(100))], check=True, capture_output=True)


def undisturbed(run: Run, workspace: Path) -> Path:
    """The weights of the same training on one machine, without torchrun."""
    train = [sys.executable, "-m", "altiplano", "train", *run.arguments(workspace)]
    subprocess.run(train, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return next(workspace.glob("train/weights/*.safetensors"))


def disturbed(run: Run, faults: Sequence[Fault], folder: Path) -> tuple[list[Found], Path]:
    """What every fault did, and the final weights."""
    found: list[Found] = []
    with Network(folder / "network", parse_layout(run.layout).world_size + run.spare) as nodes:
        training = Training(run, folder, nodes)
        try:
            for fault in faults:
                found.append(suffer(training, fault))
                show(found[-1:])
                if found[-1].problem:
                    raise Stuck(found[-1].problem)
            training.wait(training.ended, "the end")
            return found, training.weights()
        except BaseException:
            training.show_logs()
            raise


def difference(ours: Path, theirs: Path) -> float:
    """The largest of all weights; 0 for the same bytes."""
    if digest(ours) == digest(theirs):
        return 0.0
    first, second = load_file(ours), load_file(theirs)
    return max(float((value - second[name]).abs().max()) for name, value in first.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--run", nargs="*", default=[run.name for run in RUNS], help="which of the trainings")
    parser.add_argument("--only", default="", help="faults with this in their name")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    options = parser.parse_args()
    if lacks := missing():
        print(f"needs {', '.join(lacks)}", file=sys.stderr)
        return 1
    base = options.keep or Path(tempfile.mkdtemp(prefix="nodes-"))
    prepare(base / "prepared")
    rows: list[dict[str, Any]] = []
    passed = True
    for run, faults in RUNS.items():
        if run.name not in options.run:
            continue
        print(f"{run.name}: {run.layout}, {run.steps} steps")
        chosen = [fault for fault in faults if options.only in fault.kind]
        shutil.copytree(base / "prepared", base / run.name / "run")
        shutil.copytree(base / "prepared", base / run.name / "undisturbed")
        found, weights = disturbed(run, chosen, base / run.name)
        far = difference(weights, undisturbed(run, base / run.name / "undisturbed"))
        kept = all(row.lost is not None and row.lost <= ROLLING + MEANWHILE for row in found)
        print(f"largest difference of a weight from the undisturbed run's: {far}", flush=True)
        passed &= far <= run.bound and kept
        rows += [{"run": run.name, "difference": far, **vars(row)} for row in found]
    print(json.dumps({"passed": passed, "faults": rows}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
