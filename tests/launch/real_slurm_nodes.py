"""Part of ``make slurm``: the rendered job under a real SLURM of several nodes, which are namespaces of this machine.

    python tests/launch/real_slurm_nodes.py

One node has slurmctld, three have a slurmd each; training takes two of them, so one is spare. One job is preempted by
another of a higher priority, saves, is queued again and goes on; then a node crashes under it, and it goes on with the
spare one. It must end as COMPLETED with the bytes of an undisturbed training. Another job, which may go on with fewer
nodes, loses one and must end without being queued again. Exits 1 when anything of that is not so.
Needs what ``real_slurm.py`` needs, and iproute2.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from launch.real_slurm import ENDED, PROGRAMS, RECIPE, steps_taken
from virtual_nodes import Network, Node, missing

from altiplano.records import LedgerEvent
from altiplano.storage import digest
from altiplano.training.accounting import ledger

STEPS, ROLLING = 600, 20
RARE = [
    "checkpoint.interval_steps=100000",
    "evaluation.interval_steps=100000",
    f"checkpoint.rolling_steps={ROLLING}",
    "checkpoint.rolling_minutes=0",
]
SLURMD_SECONDS = 10
"""Silence after which a node is down."""
GRACE_SECONDS = 60
DONE = "COMPLETED"
HIGHER = "#!/bin/bash\nsleep 3\n"


class Slurm:
    """The commands of SLURM, as on the node of its controller."""

    def __init__(self, folder: Path, nodes: list[Node]):
        self.folder, self.nodes = folder, nodes
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def __call__(self, *command: str) -> str:
        return self.nodes[0].output(*command, environment=self.environment).strip()

    def start(self, node: Node) -> None:
        """A compute node, and its slurmd."""
        if not node.init:
            node.boot()
        node.start(["slurmd", "-D"], self.folder / f"slurmd-{node.name}.out", self.environment)

    def idle(self) -> int:
        count = self("sinfo", "-h", "-p", "low", "-t", "idle", "-o", "%D")
        return int(count or 0)

    def field(self, job: str, name: str) -> str:
        words = self("scontrol", "--oneliner", "show", "job", job).split()
        return next((word.partition("=")[2] for word in words if word.startswith(f"{name}=")), "")

    def state(self, job: str) -> str:
        return self.field(job, "JobState")

    def used(self, job: str) -> list[str]:
        """Names of the nodes that a job has."""
        return self("scontrol", "show", "hostnames", self.field(job, "NodeList")).split()

    def wait(self, so: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not so():
            if time.monotonic() > end:
                for file in [*self.folder.glob("*.out"), *self.folder.glob("*.log")]:
                    print(f"--- {file.name}\n{file.read_text()[-3000:]}")
                raise SystemExit(f"{what}: not within {seconds:.0f} s")
            time.sleep(0.2)


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """munged for all, slurmctld on node0, slurmd on node1 to node3; all of their files are in ``folder``."""
    folder.chmod(0o755)
    for name in ("munge", "state"):
        (folder / name).mkdir(mode=0o755)
    key, sock = folder / "munge" / "key", folder / "munge" / "socket"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    (folder / "plugstack.conf").write_text("")
    with Network(folder / "network", 4) as nodes:
        compute = "".join(
            f"NodeName={node.name} NodeAddr={node.address} CPUs={os.cpu_count()} State=UNKNOWN\n" for node in nodes[1:]
        )
        (folder / "slurm.conf").write_text(
            f"ClusterName=test\nSlurmctldHost={nodes[0].name}({nodes[0].address})\nSlurmUser=root\nSlurmdUser=root\n"
            f"AuthType=auth/munge\nAuthInfo=socket={sock},cred_expire=5\nCredType=cred/munge\n"
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nMpiDefault=none\n"
            "JobAcctGatherType=jobacct_gather/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n"
            f"ReturnToService=2\nKillWait=30\nSlurmdTimeout={SLURMD_SECONDS}\n"
            "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\nSlurmctldParameters=preempt_send_user_signal\n"
            f"StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool-%n\n"
            f"PlugStackConfig={folder}/plugstack.conf\n"
            f"SlurmctldPidFile={folder}/slurmctld.pid\nSlurmdPidFile={folder}/slurmd-%n.pid\n"
            f"SlurmctldLogFile={folder}/slurmctld.log\nSlurmdLogFile={folder}/slurmd-%n.log\n{compute}"
            f"PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime={GRACE_SECONDS} MaxTime=INFINITE\n"
            "PartitionName=high Nodes=ALL PriorityTier=2 PreemptMode=OFF MaxTime=INFINITE\n"
        )
        munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={sock}"]
        munge += [f"--{name}-file={folder}/munge/{name}" for name in ("pid", "log", "seed")]
        log = (folder / "munged.out").open("w")
        munged = subprocess.Popen(munge, stdout=log, stderr=log, start_new_session=True)
        try:
            commands = Slurm(folder, nodes)
            commands.wait(sock.exists, 20, "munged")
            nodes[0].start(["slurmctld", "-D", "-i"], folder / "slurmctld.out", commands.environment)
            for node in nodes[1:]:
                commands.start(node)
            commands.wait(lambda: commands.idle() == 3, 60, "idle nodes")
            yield commands
        finally:
            munged.terminate()
            munged.wait()


class Training:
    """One job that trains, and what is demanded of it."""

    def __init__(self, commands: Slurm, name: str, launch: str = ""):
        """``launch``: more lines of the cluster file's [launch]."""
        self.commands, self.workspace = commands, commands.folder / name
        self.passed = True
        description = commands.folder / f"{name}.toml"
        description.write_text(
            f'name = "here"\ndevice = "cpu"\nwatts_per_device = 1\n[launch]\npython = "{sys.executable}"\n'
            f'devices_per_node = 1\ntime_limit = "60"\nsave_seconds = 30\npartition = "low"\n{launch}'
            'environment = {OMP_NUM_THREADS = "1"}\n'
        )
        overrides = [f"--set={value}" for value in [*RECIPE, f"batch.total_tokens={1024 * STEPS}", *RARE]]
        self.arguments = ["quickstart", *overrides, "--cluster", str(description), "--layout", "dp2"]
        self.altiplano("tokenize", self.workspace)
        rendered = commands.folder / f"{name}.sbatch"
        self.altiplano("launch", self.workspace, "--on", "slurm", "--out", str(rendered))
        self.job = commands("sbatch", "--parsable", f"--chdir={commands.folder}", str(rendered))
        self.goes_on(1, 25)
        print(f"{name}: job {self.job} on {' and '.join(self.nodes())}", flush=True)

    def altiplano(self, command: str, workspace: Path, *more: str) -> None:
        arguments = [*self.arguments, "--workspace", str(workspace), *more]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = [sys.executable, "-m", "altiplano", command, *arguments]
        subprocess.run(done, check=True, capture_output=True, env=environment)

    def weights(self, workspace: Path) -> str:
        return digest(next(workspace.glob("train/weights/*.safetensors")))

    def nodes(self) -> list[str]:
        return self.commands.used(self.job)

    def events(self, name: str) -> list[LedgerEvent]:
        files = [*self.workspace.glob(".work/train-*/ledger.jsonl"), *self.workspace.glob("train/ledger.jsonl")]
        return [event for file in files for event in ledger.read(file) if event.event == name]

    def resumed(self) -> list[int]:
        return [event.step for event in self.events("resume")]

    def step(self) -> int:
        return steps_taken(self.workspace / ".work")

    def goes_on(self, starts: int, more: int) -> None:
        """Wait until it was started so often, and has got on since."""
        self.commands.wait(lambda: len(self.resumed()) >= starts, 300, f"start {starts}")
        self.commands.wait(lambda: self.step() >= self.resumed()[-1] + more, 300, f"{more} more steps")

    def lose(self) -> tuple[Node, int]:
        """A node that is not the script's crashes; it, and the step that training stood at."""
        lost = next(node for node in self.commands.nodes if node.name == self.nodes()[-1])
        lost.crash()
        return lost, self.step()

    def ends(self) -> str:
        self.commands.wait(lambda: self.commands.state(self.job) in ENDED, 1200, "the end")
        return self.commands.state(self.job)

    def expect(self, what: str, found: bool) -> None:
        print(f"  {'✓' if found else '✗'} {what}", flush=True)
        if not found:
            print((self.commands.folder / f"altiplano-quickstart-{self.job}.log").read_text()[-6000:])
        self.passed &= found


def preempted_and_moved(commands: Slurm) -> bool:
    """One job through preemption and the loss of a node, whose place a spare one takes."""
    training = Training(commands, "run")
    training.expect("trains on two nodes", len(training.nodes()) == 2)
    (commands.folder / "higher.sbatch").write_text(HIGHER)
    higher = ("sbatch", "--parsable", "--partition=high", "--nodes=3", "--exclusive", f"--chdir={commands.folder}")
    other = commands(*higher, str(commands.folder / "higher.sbatch"))
    commands.wait(lambda: commands.state(training.job) in ("PENDING", *ENDED), GRACE_SECONDS + 60, "preemption")
    taken = training.step()
    commands.wait(lambda: commands.state(other) in ENDED, 120, "the other job's end")
    training.goes_on(2, 25)
    back = training.resumed()[1]
    training.expect(f"preempted at step {taken}: saved, queued again, went on from step {back}", back == taken)
    lost, taken = training.lose()
    begun = time.monotonic()
    training.goes_on(3, 1)
    again, back = training.nodes(), training.resumed()[2]
    training.expect(
        f"{lost.name} crashed: goes on with {' and '.join(again)} from step {back} of {taken} after "
        f"{time.monotonic() - begun:.0f} s (a node is down after {SLURMD_SECONDS} s of silence)",
        lost.name not in again and len(again) == 2 and taken - back <= ROLLING + 5,
    )
    training.expect(
        f"finished, started again {commands.field(training.job, 'Restarts')} times", training.ends() == DONE
    )
    training.altiplano("export", training.workspace)
    undisturbed = commands.folder / "undisturbed"
    training.altiplano("train", undisturbed)
    same = training.weights(training.workspace) == training.weights(undisturbed)
    training.expect("the same bytes as an undisturbed training", same)
    commands.start(lost)
    return training.passed


def fewer(commands: Slurm) -> bool:
    """One job that may lose a node, loses it, and is not queued again."""
    commands.wait(lambda: commands.idle() == 3, 60, "idle nodes")
    training = Training(commands, "fewer", "min_nodes = 1\n")
    lost, taken = training.lose()
    begun = time.monotonic()
    training.goes_on(2, 1)
    back, layout = training.resumed()[1], training.events("start")[-1].layout
    training.expect(
        f"{lost.name} crashed: goes on as {layout} from step {back} of {taken} after {time.monotonic() - begun:.0f} s",
        layout.startswith("dp1.") and taken - back <= ROLLING + 5,
    )
    ended, restarts = training.ends(), commands.field(training.job, "Restarts")
    training.expect(f"finished ({ended}), queued again {restarts} times", (ended, restarts) == (DONE, "0"))
    return training.passed


def main() -> int:
    os.environ["PATH"] += ":/usr/sbin"
    if lacks := missing() + [name for name in PROGRAMS if shutil.which(name) is None]:
        print(f"needs {', '.join(lacks)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="slurm-nodes-") as folder, slurm(Path(folder)) as commands:
        return 0 if preempted_and_moved(commands) & fewer(commands) else 1


if __name__ == "__main__":
    sys.exit(main())
