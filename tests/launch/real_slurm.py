"""``make slurm``: the rendered job under a real SLURM, which this sets up on loopback for as long as it runs.

    python tests/launch/real_slurm.py [--limit]

Needs root, and Debian's packages ``slurm-wlm`` and ``munge`` (or others that bring slurmctld, slurmd, munged). For each
way in which SLURM keeps track of processes a small recipe is submitted, told to stop in the middle of training as the
time limit does (with ``--limit`` by a real one), and must have saved the step it stood at, be queued again, go on from
there, end as COMPLETED, and do nothing when it is submitted once more. Exits 1 when anything of that is not so.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.runs import TINY

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol")
TRACKING = ("pgid", "linuxproc", *(["cgroup"] if Path("/sys/fs/cgroup/freezer").is_dir() else []))
"""By control groups where their first version is mounted: its freezer."""
ENDED = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL")
RECIPE = [value for value in TINY if not value.startswith("batch.total_tokens")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--limit", action="store_true", help="wait for a time limit of three minutes, too")
    parser.add_argument("--tracking", nargs="*", default=TRACKING, help="ways to keep track of processes")
    options = parser.parse_args()
    missing = [name for name in PROGRAMS if shutil.which(name) is None and not Path("/usr/sbin", name).exists()]
    if missing or os.geteuid() != 0:
        print(f"needs root, and slurm-wlm and munge; missing: {', '.join(missing) or 'root'}", file=sys.stderr)
        return 1
    os.environ["PATH"] += ":/usr/sbin"
    print(subprocess.run(["slurmd", "--version"], capture_output=True, text=True, check=False).stdout.strip())
    passed = True
    for tracking in options.tracking:
        with tempfile.TemporaryDirectory(prefix="slurm-") as folder, cluster(Path(folder), tracking):
            passed &= told_to_stop(Path(folder), f"proctrack/{tracking}", by_limit=False)
    if options.limit:
        with tempfile.TemporaryDirectory(prefix="slurm-") as folder, cluster(Path(folder), TRACKING[0]):
            passed &= told_to_stop(Path(folder), "time limit", by_limit=True)
    return 0 if passed else 1


@contextmanager
def cluster(folder: Path, tracking: str) -> Iterator[None]:
    """munged, slurmctld and slurmd of one node, all of whose files are in ``folder``."""
    host = platform.node()
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    folder.chmod(0o755)
    key, sock = folder / "munge" / "key", folder / "munge" / "socket"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    (folder / "plugstack.conf").write_text("")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=yes\n")
    configuration = folder / "slurm.conf"
    configuration.write_text(
        f"ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\n"
        f"SlurmctldPort={free_port()}\nSlurmdPort={free_port()}\n"
        # A job that is queued again waits until its credential has expired: two minutes, if nothing is said.
        f"AuthType=auth/munge\nAuthInfo=socket={sock},cred_expire=5\nCredType=cred/munge\n"
        f"ProctrackType=proctrack/{tracking}\nTaskPlugin=task/none\nMpiDefault=none\nJobAcctGatherType=jobacct_gather/none\n"
        f"SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nReturnToService=2\nKillWait=30\n"
        f"StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool\nPlugStackConfig={folder}/plugstack.conf\n"
        f"SlurmctldPidFile={folder}/slurmctld.pid\nSlurmdPidFile={folder}/slurmd.pid\n"
        f"SlurmctldLogFile={folder}/slurmctld.log\nSlurmdLogFile={folder}/slurmd.log\n"
        f"NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN\n"
        f"PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP\n"
    )
    os.environ["SLURM_CONF"] = str(configuration)
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={sock}"]
    munge += [f"--pid-file={folder}/munge/pid", f"--log-file={folder}/munge/log", f"--seed-file={folder}/munge/seed"]
    commands = [munge, ["slurmctld", "-D", "-i"], ["slurmd", "-D", "-N", host]]
    daemons = []
    try:
        for command in commands:
            log = (folder / f"{command[0]}.out").open("w")
            daemons.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True))
            time.sleep(1)
        wait_for(lambda: "idle" in output("sinfo", "-h", "-o", "%T"), 60, "an idle node", folder)
        yield
    finally:
        output("scancel", "--user=root")
        time.sleep(2)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


def told_to_stop(folder: Path, name: str, *, by_limit: bool) -> bool:
    """One job through its life; prints a line for everything that must be so."""
    workspace = folder / "run"
    description = folder / "cluster.toml"
    limit = '"3"' if by_limit else '"60"'  # minutes
    description.write_text(
        f'name = "here"\ndevice = "cpu"\nwatts_per_device = 1\n[launch]\npython = "{sys.executable}"\n'
        f"time_limit = {limit}\nsave_seconds = 30\n"
        'environment = {OMP_NUM_THREADS = "1"}\n'
    )
    steps = 1500 if by_limit else 600
    overrides = [f"--set={value}" for value in [*RECIPE, f"batch.total_tokens={1024 * steps}"]]
    rare = ["--set=checkpoint.interval_steps=100000", "--set=evaluation.interval_steps=100000"]
    arguments = ["quickstart", *overrides, *rare, "--cluster", str(description), "--workspace", str(workspace)]
    altiplano = [sys.executable, "-m", "altiplano"]
    subprocess.run([*altiplano, "tokenize", *arguments], check=True, capture_output=True)
    launch = [*altiplano, "launch", *arguments, "--layout", "dp2", "--on", "slurm", "--out", str(folder / "job.sbatch")]
    subprocess.run(launch, check=True)
    rendered = folder / "job.sbatch"
    job = output("sbatch", "--parsable", f"--chdir={folder}", str(rendered)).strip()
    log = folder / f"altiplano-quickstart-{job}.log"
    print(f"{name}: job {job}", flush=True)
    results: list[bool] = []

    def expect(what: str, found: bool) -> None:
        print(f"  {'✓' if found else '✗'} {what}", flush=True)
        results.append(found)

    metrics = workspace / ".work"
    wait_for(lambda: steps_taken(metrics) >= 20, 200, "twenty steps", folder, log)
    if not by_limit:
        output("scancel", "--batch", "--signal=TERM", job)  # to the script alone, as --signal=B:TERM does
    wait_for(lambda: state(job) in ("PENDING", *ENDED), 240, "an end", folder, log)
    ended, taken = state(job), steps_taken(metrics)
    expect(f"queued again ({ended}, restarts {field(job, 'Restarts')})", field(job, "Restarts") == "1")
    saved = sorted(path.name for path in metrics.glob("train-*/checkpoints/step-*"))
    expect(f"saved the step it stood at ({taken}: {', '.join(saved) or 'nothing'})", saved == [f"step-{taken:08d}"])
    wait_for(lambda: state(job) not in ("PENDING", "CONFIGURING"), 120, "a second start", folder, log)
    wait_for(lambda: state(job) in ENDED, 1200, "the end", folder, log)
    subprocess.run([*altiplano, "export", *arguments], check=True, capture_output=True)  # a job of its own
    resumed = [event["step"] for event in ledger(workspace) if event["event"] == "resume"]
    expect(f"went on from there ({resumed})", resumed[:2] == [0, taken])
    expect(f"finished ({state(job)}, exit {field(job, 'ExitCode')})", state(job) == "COMPLETED")
    record = workspace / "train" / "run.json"
    expect("all steps were taken", record.exists() and json.loads(record.read_text())["steps"] == steps)
    again = output("sbatch", "--parsable", f"--chdir={folder}", str(rendered)).strip()
    wait_for(lambda: state(again) in ENDED, 120, "the end", folder, log)
    expect(
        f"once more: nothing to do ({state(again)})",
        state(again) == "COMPLETED" and len([e for e in ledger(workspace) if e["event"] == "resume"]) == len(resumed),
    )
    if not all(results):
        print(log.read_text()[-6000:] if log.exists() else "no log")
    return all(results)


def steps_taken(work: Path) -> int:
    return max((file.read_text().count("\n") for file in work.glob("train-*/metrics.jsonl")), default=0)


def ledger(workspace: Path) -> list[dict[str, object]]:
    file = workspace / "train" / "ledger.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def state(job: str) -> str:
    return field(job, "JobState")


def field(job: str, name: str) -> str:
    words = output("scontrol", "--oneliner", "show", "job", job).split()
    return next((word.partition("=")[2] for word in words if word.startswith(f"{name}=")), "")


def wait_for(so: Callable[[], bool], seconds: float, what: str, folder: Path, log: Path | None = None) -> None:
    end = time.monotonic() + seconds
    while not so():
        if time.monotonic() > end:
            for file in [*folder.glob("*.out"), *folder.glob("*.log"), *([log] if log and log.exists() else [])]:
                print(f"--- {file.name}\n{file.read_text()[-3000:]}")
            raise SystemExit(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
