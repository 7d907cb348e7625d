"""Jobs for this machine, SLURM and Kubernetes: valid for what reads them, whatever the names, and refused in one line.

The batch script runs against small stand-ins for srun, scancel and scontrol, which behave as the real ones do where it
matters; ``make slurm`` runs it under a real SLURM. The JobSet is held to a schema of the fields it uses.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from altiplano.cli import run
from altiplano.errors import InputError
from altiplano.launch.job import LaunchJob, launch_job
from altiplano.launch.kubernetes import script as kubernetes_script
from altiplano.launch.local import script as local_script
from altiplano.launch.slurm import script as slurm_script
from altiplano.launch.slurm import seconds as slurm_seconds
from altiplano.recipe.cluster import Cluster, Launch
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_recipe

ODD = 'runs/it\'s a "test" $(HOME) `x` ü'
ARGUMENTS = ["llama-3.1-8b", "--set=corpus.root=/a b/$c", "--workspace", ODD]


def job(launch: Launch | None = None, **changes: Any) -> LaunchJob:
    cluster = Cluster(
        name="test",
        device=changes.pop("device", "cuda"),
        devices=changes.pop("devices", 32),
        watts_per_device=1,
        launch=launch or Launch(devices_per_node=8, image="image:1", volume_claim="shared"),
    )
    layout = changes.pop("layout", Layout(dp=8, tp=4))
    recipe = load_recipe("llama-3.1-8b", ["name=llama-3.1-8b."])
    return launch_job(recipe, cluster, layout, ARGUMENTS, Path(ODD), changes.pop("nodes", None))


def check_bash(text: str) -> None:
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def words(text: str) -> list[str]:
    """The words of a shell command as bash sees them."""
    shown = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, text=True, check=True)
    return shown.stdout.split("\0")[:-1]


def directives(text: str) -> dict[str, str]:
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")]
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines}


def test_the_batch_script_asks_for_what_the_layout_needs() -> None:
    launch = Launch(devices_per_node=8, partition="batch", account="models", time_limit="1-00:00:00", save_seconds=300)
    text = slurm_script(job(launch))
    check_bash(text)
    asked = directives(text)
    assert asked["nodes"] == "4" and asked["ntasks-per-node"] == "1" and asked["gpus-per-node"] == "8"
    assert asked["partition"] == "batch" and asked["account"] == "models" and asked["time"] == "1-00:00:00"
    assert asked["signal"] == "B:TERM@360" and "requeue" in asked
    assert "export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=300\n" in text
    assert "--nnodes=4" in text and "--nproc-per-node=8" in text and "--max-restarts=3" in text
    plain = directives(slurm_script(job(Launch(devices_per_node=8), device="cpu")))
    assert not {"gpus-per-node", "partition", "account", "time"} & plain.keys()


# As the real one of SLURM 22.05 under proctrack/pgid: told to end it passes nothing on, kills the step, leaves with 0.
SRUN = """
trap 'kill -KILL -- "-$step"; echo "srun ended the step" >> "$NOTES"; exit 0' TERM
setsid bash -c "$STEP" & step=$!
echo "$step" > "$NOTES.step"
wait "$step"
"""


def fake_cluster(folder: Path, srun: str = SRUN, step: str = "", check: str = "exit 0") -> dict[str, str]:
    """srun, scancel and scontrol of one node, and an interpreter that only notes its arguments.

    ``step`` is what srun runs, ``check`` what the interpreter does when it is asked whether training is finished.
    """
    programs = {
        "srun": srun,
        "scancel": 'echo "scancel $*" >> "$NOTES"; kill -TERM "$(cat "$NOTES.step")"',
        "scontrol": 'if [ "$1" = show ]; then echo first-node; echo second; else echo "scontrol $*" >> "$NOTES"; fi',
        "python": f'if [ "${{@: -1}}" = --check ]; then {check}; fi; printf "%s\\n" "$@" >> "$NOTES"',
    }
    (folder / "bin").mkdir()
    for name, body in programs.items():
        program = folder / "bin" / name
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)
    return {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "NOTES": str(folder / "notes"),
        "STEP": step,
        "SLURM_JOB_ID": "42",
        "SLURM_JOB_NODELIST": "node[1-4]",
    }


def slurm_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    odd = tmp_path / "a folder with 'quotes' and $dollars"
    odd.mkdir()
    monkeypatch.chdir(odd)
    file = tmp_path / "job.sbatch"
    environment = {"ODD": "a 'b' \"c\" $(touch owned) `touch owned`"}
    file.write_text(slurm_script(job(Launch(devices_per_node=8, python="python", environment=environment))))
    return file


def test_the_batch_script_prepares_then_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = slurm_job(tmp_path, monkeypatch)
    environment = fake_cluster(tmp_path, 'printf "%s\\n" "$PWD" "$ODD" "$@" >> "$NOTES"')
    monkeypatch.chdir(tmp_path)
    subprocess.run(["bash", str(file)], env=environment, check=True, timeout=30)
    notes = (tmp_path / "notes").read_text().splitlines()
    assert notes[: notes.index(str(tmp_path / "a folder with 'quotes' and $dollars"))] == [
        *["-m", "altiplano", "tokenize"],
        *ARGUMENTS,
    ]
    assert "a 'b' \"c\" $(touch owned) `touch owned`" in notes
    assert "--rdzv-endpoint=first-node:29400" in notes
    assert notes[-len(ARGUMENTS) - 3 :] == ["-m", "altiplano", "train", *ARGUMENTS]
    assert not any("scontrol" in note for note in notes)
    assert not list(tmp_path.rglob("owned"))


def test_a_failed_stage_or_step_fails_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = slurm_job(tmp_path, monkeypatch)
    environment = fake_cluster(tmp_path, 'echo "srun" >> "$NOTES"; exit 7')
    assert subprocess.run(["bash", str(file)], env=environment, check=False, timeout=30).returncode == 7
    (tmp_path / "bin" / "python").write_text("#!/bin/bash\nexit 2\n")
    (tmp_path / "notes").write_text("")
    assert subprocess.run(["bash", str(file)], env=environment, check=False, timeout=30).returncode == 2
    assert (tmp_path / "notes").read_text() == ""  # nothing trained, nothing queued again


SAVES = 'trap \'sleep 1; echo saved >> "$NOTES"; exit 130\' TERM; echo up >> "$NOTES"; while true; do sleep 0.1; done'
UNFINISHED = 'echo unfinished >> "$NOTES"; exit 1'


def told_to_stop(file: Path, environment: dict[str, str]) -> tuple[int, list[str]]:
    """The job's exit code and its notes, when SLURM tells the script, and it alone, as soon as the step is up."""
    process, notes = subprocess.Popen(["bash", str(file)], env=environment), Path(environment["NOTES"])
    deadline = time.monotonic() + 30
    while not (notes.exists() and "up" in notes.read_text().splitlines()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)  # as --signal=B:TERM does
    return process.wait(timeout=30), notes.read_text().splitlines()


def test_before_the_time_limit_the_step_may_save_and_the_job_is_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = slurm_job(tmp_path, monkeypatch)
    code, notes = told_to_stop(file, fake_cluster(tmp_path, step=SAVES))
    assert code == 0
    assert notes[-3:] == ["scancel --signal=TERM 42", "saved", "scontrol requeue 42"]


def test_a_step_that_left_with_0_is_not_taken_for_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = slurm_job(tmp_path, monkeypatch)
    saves = SAVES.replace("exit 130", "exit 0")
    environment = fake_cluster(tmp_path, step=saves, check=UNFINISHED)
    code, notes = told_to_stop(file, environment)
    assert code == 0
    assert notes[-3:] == ["saved", "unfinished", "scontrol requeue 42"]
    (tmp_path / "notes").unlink()
    # Nobody asked it to stop: that is a failure.
    environment["STEP"] = "exit 0"
    ended = subprocess.run(["bash", str(file)], env=environment, check=False, timeout=30)
    assert ended.returncode == 1
    assert (tmp_path / "notes").read_text().splitlines()[-1] == "unfinished"


def test_a_run_that_finished_while_it_was_told_to_stop_is_not_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = slurm_job(tmp_path, monkeypatch)
    code, notes = told_to_stop(file, fake_cluster(tmp_path, step=SAVES.replace("exit 130", "exit 0")))
    assert code == 0
    assert notes[-1] == "saved"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("nodes", [1, 4])
def test_shellcheck_has_nothing_to_say(nodes: int) -> None:
    layout = Layout(dp=8, tp=4) if nodes == 4 else Layout(dp=8)
    for text in (slurm_script(job(layout=layout)), local_script(job(layout=Layout(dp=8)))):
        # SC2016: dollars in single quotes are what the odd names here have.
        command = ["shellcheck", "--exclude=SC2016", "-"]
        checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("3", 180), ("3:30", 210), ("0:03:00", 180), ("1-2", 93600), ("1-2:30", 95400), ("1-2:30:05", 95405), ("0", 0)],
)
def test_time_limits_are_read_as_slurm_does(limit: str, seconds: int) -> None:
    assert slurm_seconds(limit) == seconds


@pytest.mark.parametrize(("limit", "enough"), [("4", False), ("0:04:01", True), ("0", True), ("0-1", True)])
def test_a_time_limit_leaves_time_to_train(limit: str, enough: bool) -> None:
    launched = job(Launch(devices_per_node=8, time_limit=limit, save_seconds=120))
    if enough:
        assert f"#SBATCH --time={limit}\n" in slurm_script(launched)
    else:
        with pytest.raises(InputError, match=r"launch\.time_limit = '4' is 240 s.*240 s before its end"):
            slurm_script(launched)


def test_the_local_job_runs_on_a_gpu_under_torchrun_and_on_a_cpu_by_itself() -> None:
    gpus = local_script(job(Launch(python="/p y/python"), devices=8, layout=Layout(dp=8)))
    check_bash(gpus)
    prepare, train = (line for line in gpus.replace("\\\n", " ").splitlines() if "altiplano" in line)
    assert words(prepare) == ["/p y/python", "-m", "altiplano", "tokenize", *ARGUMENTS]
    agent = ["--standalone", "--nproc-per-node=8", "--max-restarts=3"]
    assert words(train)[1:] == [
        *["/p y/python", "-m", "torch.distributed.run", *agent, "-m", "altiplano", "train"],
        *ARGUMENTS,
    ]
    cpu = local_script(job(Launch(), device="cpu", devices=1, layout=Layout(dp=2)))
    check_bash(cpu)
    assert "torch.distributed.run" not in cpu


def closed(**properties: Any) -> dict[str, Any]:
    """An object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


STRING, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}
LABEL = {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 50}
CONTAINER = closed(
    name=LABEL,
    image=STRING,
    command={"type": "array", "items": STRING, "minItems": 3},
    workingDir=STRING,
    env={"type": "array", "items": closed(name=STRING, value={"type": "string"})},
    resources=closed(limits=closed(**{"nvidia.com/gpu": {"type": "integer", "minimum": 1}})),
    volumeMounts={"type": "array", "items": {"type": "object", "required": ["name", "mountPath"]}},
)
CONTAINER["required"].remove("resources")
POD = closed(
    restartPolicy={"const": "Never"},
    terminationGracePeriodSeconds=COUNT,
    containers={"type": "array", "items": CONTAINER, "minItems": 1, "maxItems": 1},
    volumes={"type": "array", "items": {"type": "object", "required": ["name"], "maxProperties": 2}},
)
JOB = closed(
    completionMode={"const": "Indexed"},
    completions=COUNT,
    parallelism=COUNT,
    backoffLimit={"const": 0},
    template=closed(spec=POD),
)
REPLICATED_JOB = closed(
    name=LABEL,
    replicas={"const": 1},
    dependsOn={
        "type": "array",
        "maxItems": 1,
        "items": closed(name=STRING, status={"enum": ["Ready", "Complete"]}),
    },
    template=closed(spec=JOB),
)
REPLICATED_JOB["required"].remove("dependsOn")
METADATA = closed(name=LABEL, namespace=LABEL)
JOBSET = closed(
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=METADATA,
    spec=closed(
        network=closed(
            enableDNSHostnames={"const": True}, subdomain=LABEL, publishNotReadyAddresses={"type": "boolean"}
        ),
        failurePolicy=closed(maxRestarts=COUNT),
        replicatedJobs={"type": "array", "items": REPLICATED_JOB, "minItems": 2, "maxItems": 2},
    ),
)


def test_the_jobset_is_valid_and_says_what_the_layout_needs() -> None:
    launch = Launch(
        devices_per_node=8,
        image="registry:5000/a/b@sha256:0",
        volume_claim="shared",
        namespace="research",
        save_seconds=200,
        environment={"ODD": "a: 'b' \"c\" $(HOME) \n# {{ x }} ü", "YES": "yes"},
    )
    configuration, jobset = yaml.safe_load_all(kubernetes_script(job(launch)))
    jsonschema.validate(jobset, JOBSET)
    assert configuration["metadata"]["name"] == jobset["metadata"]["name"] == "altiplano-llama-3-1-8b"
    prepare, train = jobset["spec"]["replicatedJobs"]
    assert train["dependsOn"] == [{"name": prepare["name"], "status": "Complete"}]
    assert train["template"]["spec"]["completions"] == train["template"]["spec"]["parallelism"] == 4
    pod = train["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] > 200
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    # Kubernetes reads $$( as $(.
    assert environment["ODD"] == launch.environment["ODD"].replace("$(", "$$(")
    assert environment["YES"] == "yes"
    assert environment["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "200"
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    shell, option, command = container["command"]
    assert (shell, option) == ("bash", "-c")
    check_bash(command)
    spelt = words(command.replace("$$(", "$("))
    assert "--rdzv-endpoint=altiplano-llama-3-1-8b-train-0-0.altiplano-llama-3-1-8b:29400" in spelt
    assert spelt[-1] == f"/shared/{ODD}"
    # The last pod's name, with the longest endings, is a DNS label.
    assert len(f"{jobset['metadata']['name']}-train-0-9999") <= 63


def test_pods_read_the_recipe_and_cluster_that_were_checked(tmp_path: Path) -> None:
    launched = job(layout=Layout(dp=4, tp=8))
    data = next(yaml.safe_load_all(kubernetes_script(launched)))["data"]
    for name, text in data.items():
        (tmp_path / name).write_text(text)
    assert load_recipe(str(tmp_path / "recipe.toml")) == launched.recipe
    cluster = Cluster.model_validate(tomllib.loads(data["cluster.toml"]))
    assert cluster == launched.cluster.model_copy(update={"layout": Layout(dp=4, tp=8)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "moon"], "--on moon: choose one of local, slurm, kubernetes"),
        (["--on", "slurm", "--nodes", "2"], "8 ranks, but --nodes 2 with 8 each have 16; 1 would do"),
        (["--on", "slurm", "--layout", "dp4"], "4 ranks, which do not fill nodes of 8"),
        (["--on", "slurm", "--layout", "dp16"], "16 ranks, but cluster h100-8 has 8 devices"),
        (["--on", "kubernetes"], "launch.image is missing: Kubernetes needs the image to run"),
        (["--on", "slurm", "--layout", "tp3"], "tp = 3 does not divide"),
        (["--on", "slurm", "--submit"], "sbatch is not on this machine"),
        (["--on", "slurm", "--out", "no/such/folder"], "no/such/folder is missing"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing that could take a job, whatever this machine has
    assert run(["launch", "llama-3.1-8b", "--cluster", "h100-8", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_local_is_one_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["launch", "llama-3.1-405b", "--cluster", "h100-2048", "--on", "local"]) == 2
    assert "needs 256 nodes of 8 devices, local is one" in capsys.readouterr().err


def test_names_that_slurm_could_not_read_are_refused() -> None:
    with pytest.raises(InputError, match=r"launch\.partition = 'a b' is not a name"):
        slurm_script(job(Launch(devices_per_node=8, partition="a b")))


def test_the_job_is_printed_written_or_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["launch", "llama-3.1-8b", "--cluster", "h100-8", "--on", "slurm"]
    assert run(command) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("#!/bin/bash\n#SBATCH")
    assert run([*command, "--out", "job.sbatch"]) == 0
    assert Path("job.sbatch").read_text() == printed
    assert capsys.readouterr().out == ""
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/bash\ncat > "$0.given"\nexit 3\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run([*command, "--submit"]) == 3
    assert (tmp_path / "sbatch.given").read_text() == printed


def test_the_local_job_starts_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    python = tmp_path / "an interpreter"
    python.write_text('#!/bin/bash\nprintf "%s|" "$@" "$ODD"; [ "$3" = tokenize ] || exit 5\n')
    python.chmod(0o755)
    cluster = tmp_path / "cluster.toml"
    cluster.write_text(
        'name = "here"\ndevice = "cpu"\nwatts_per_device = 1\n[launch]\n'
        f"python = '{python}'\nenvironment = {{ODD = \"it's\"}}\n"
    )
    arguments = ["quickstart", "--cluster", str(cluster), "--workspace", "a run"]
    command = [sys.executable, "-m", "altiplano", "launch", *arguments, "--on", "local", "--submit"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    stages = ["|".join(["-m", "altiplano", stage, *arguments, "it's", ""]) for stage in ("tokenize", "train")]
    assert (ended.stdout, ended.returncode) == ("".join(stages), 5), ended.stderr
