"""Jobs for this machine, SLURM and Kubernetes: valid for what reads them, whatever the names, and refused in one line.

``test_slurm.py`` runs the batch script. The JobSet is held to a schema of the fields it uses.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from launch.jobs import ARGUMENTS, ODD, check_bash, job

from altiplano.cli import run
from altiplano.launch.kubernetes import script as kubernetes_script
from altiplano.launch.local import script as local_script
from altiplano.launch.training_job import planned_save_seconds
from altiplano.recipe.cluster import Cluster, LaunchConfig
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe


def words(text: str) -> list[str]:
    """The words of a shell command as bash sees them."""
    shown = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, text=True, check=True)
    return shown.stdout.split("\0")[:-1]


def test_the_local_job_runs_on_a_gpu_under_torchrun_and_on_a_cpu_by_itself() -> None:
    gpus = local_script(job(LaunchConfig(python="/p y/python"), devices=8, layout=Layout(dp=8)))
    check_bash(gpus)
    prepare, train = (line for line in gpus.replace("\\\n", " ").splitlines() if "altiplano" in line)
    assert words(prepare) == ["/p y/python", "-m", "altiplano", "tokenize", *ARGUMENTS]
    agent = ["--standalone", "--nproc-per-node=8", "--max-restarts=100"]
    assert words(train)[1:] == [
        *["/p y/python", "-m", "torch.distributed.run", *agent, "-m", "altiplano", "train"],
        *ARGUMENTS,
    ]
    cpu = local_script(job(LaunchConfig(), device="cpu", devices=1, layout=Layout(dp=2)))
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
    launch = LaunchConfig(
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


def test_the_notice_before_a_time_limit_is_planned() -> None:
    """The source recipe takes 69 s a step, and 4.9 TB there and back over 256 nodes; a processor has no plan."""
    recipe, cluster = load_recipe("llama-3.1-405b"), load_cluster("h100-2048")
    notice = planned_save_seconds(recipe, cluster, cluster.layout)
    assert 69 + cluster.operation.save_seconds + 2 * 19 < notice < 300
    small = cluster.model_copy(update={"devices": 8})
    assert planned_save_seconds(load_recipe("llama-3.1-8b"), small, Layout(dp=8)) > 400  # of which one step is 329
    assert planned_save_seconds(recipe, load_cluster("laptop"), Layout()) == 120
    assert job(LaunchConfig(devices_per_node=8, save_seconds=33)).save_seconds == 33
