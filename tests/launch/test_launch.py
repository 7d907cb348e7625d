"""Jobs for this machine, SLURM and Kubernetes: valid for what reads them, whatever the names, and refused in one line.

``test_slurm.py`` runs the batch script. Kubernetes' objects are held to the definitions that Kubeflow generates its
client from.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from launch.jobs import ARGUMENTS, ODD, check_bash, job

from altiplano.cli import run
from altiplano.errors import InputError
from altiplano.launch.kubernetes import script as kubernetes_script
from altiplano.launch.local import script as local_script
from altiplano.launch.slurm import script as slurm_script
from altiplano.launch.training_job import LaunchJob, launch_job, planned_save_seconds
from altiplano.recipe.cluster import Cluster, LaunchConfig
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.trainings import layout_of, trainings


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


def check_kubernetes(manifest: str) -> list[dict[str, Any]]:
    """The objects, held to JobSet's and Kubernetes' own API definitions: every field is known and of the right type."""
    from kubeflow_trainer_api import models as kubernetes

    objects = list(yaml.safe_load_all(manifest))
    for one in objects:
        model = {"ConfigMap": kubernetes.IoK8sApiCoreV1ConfigMap, "JobSet": kubernetes.JobsetV1alpha2JobSet}[
            one["kind"]
        ]
        # What is not known is dropped on the way.
        assert model.from_dict(one).to_dict() == one
    return objects


def test_the_jobset_is_valid_and_says_what_the_layout_needs() -> None:
    launch = LaunchConfig(
        devices_per_node=8,
        image="registry:5000/a/b@sha256:0",
        volume_claim="shared",
        namespace="research",
        save_seconds=200,
        environment={"ODD": "a: 'b' \"c\" $(HOME) \n# {{ x }} ü", "YES": "yes"},
        secrets={"WANDB_API_KEY": "tracking/key"},
        resources={"rdma/ib": 8},
        host_network=True,
        user=1000,
    )
    configuration, jobset = check_kubernetes(kubernetes_script(job(launch)))
    assert configuration["metadata"]["name"] == jobset["metadata"]["name"] == "altiplano-llama-3-1-8b"
    prepare, train, export = jobset["spec"]["replicatedJobs"]
    assert train["dependsOn"] == [{"name": prepare["name"], "status": "Complete"}]
    assert export["dependsOn"] == [{"name": train["name"], "status": "Complete"}]
    (writer,) = export["template"]["spec"]["template"]["spec"]["containers"]
    assert "resources" not in writer  # devices are for others by then
    assert train["template"]["spec"]["completions"] == train["template"]["spec"]["parallelism"] == 4
    pod = train["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] > 200
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 8, "rdma/ib": 8}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["IPC_LOCK"]}
    assert pod["hostNetwork"] and pod["securityContext"]["runAsNonRoot"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["WANDB_API_KEY"] is None
    (secret,) = (entry["valueFrom"]["secretKeyRef"] for entry in container["env"] if "valueFrom" in entry)
    assert secret == {"name": "tracking", "key": "key"}
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


def test_the_smallest_jobset_is_valid_too() -> None:
    _, jobset = check_kubernetes(kubernetes_script(job(LaunchConfig(devices_per_node=8, image="a", volume_claim="b"))))
    pod = jobset["spec"]["replicatedJobs"][-1]["template"]["spec"]["template"]["spec"]
    assert "hostNetwork" not in pod and pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", ["HF_TOKEN", "WANDB_API_KEY", "aws_secret_access_key", "PASSWORD"])
def test_secrets_are_not_written_into_jobs(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} looks like a secret.*launch.secrets"):
        LaunchConfig(environment={name: "x"})
    assert LaunchConfig(environment={"TOKENIZERS_PARALLELISM": "false", "KEYBOARD": "x"})


@pytest.mark.parametrize("stage", ["evaluate", "export"])
def test_a_stage_after_training_is_a_job_of_its_own(stage: str) -> None:
    launch = LaunchConfig(devices_per_node=8, image="a", volume_claim="shared", python="py")
    of_stage = job(launch, stage=stage)
    _, jobset = check_kubernetes(kubernetes_script(of_stage))
    (only,) = jobset["spec"]["replicatedJobs"]
    (container,) = only["template"]["spec"]["template"]["spec"]["containers"]
    name = f"altiplano-llama-3-1-8b-{stage}"
    assert (jobset["metadata"]["name"], only["name"]) == (name, stage)
    assert len(f"{name}-{stage}-0-9999") <= 63
    batch = slurm_script(of_stage)
    check_bash(batch)
    assert "tokenize" not in batch and f"py -m altiplano {stage}" in batch.replace("\\\n    ", "")
    ranks = f"-m altiplano {stage} "
    if stage == "export":
        assert of_stage.nodes == 1 and "resources" not in container and "gpus" not in batch
        assert f"--standalone --nproc-per-node=8 --max-restarts=100 {ranks}" in " ".join(
            container["command"][2].split()
        )
    else:
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 8} and "#SBATCH --gpus-per-node=8" in batch
        assert f"--rdzv-endpoint={name}-evaluate-0-0.{name}:29400" in container["command"][2]
    check_bash(local_script(job(devices=8, layout=Layout(dp=8), stage=stage)))


def test_the_stages_before_training_can_be_a_job_without_devices() -> None:
    launch = LaunchConfig(devices_per_node=8, image="a", volume_claim="shared", python="py")
    first = job(launch, stage="tokenize")
    assert (first.nodes, first.devices_per_node) == (1, 0)
    batch = slurm_script(first)
    check_bash(batch)
    assert "gpus" not in batch and "torch.distributed.run" not in batch and "#SBATCH --nodes=1\n" in batch
    assert batch.count("-m altiplano tokenize") == 2  # and whether it is finished
    _, jobset = check_kubernetes(kubernetes_script(first))
    (only,) = jobset["spec"]["replicatedJobs"]
    (container,) = only["template"]["spec"]["template"]["spec"]["containers"]
    assert "resources" not in container and "-m altiplano tokenize" in container["command"][2]
    with pytest.raises(InputError, match="--stage tokenize is one process; on several nodes it works through Ray"):
        job(launch, stage="tokenize", nodes=2)


def test_what_gpus_need_stands_in_their_jobs_alone() -> None:
    assert "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True" in slurm_script(job())
    assert "PYTORCH_CUDA_ALLOC_CONF" not in slurm_script(job(stage="export"))
    chosen = LaunchConfig(devices_per_node=8, environment={"PYTORCH_CUDA_ALLOC_CONF": "backend:native"})
    assert "export PYTORCH_CUDA_ALLOC_CONF=backend:native" in slurm_script(job(chosen))


def test_a_pod_that_is_lost_is_replaced_where_the_others_may_go_on() -> None:
    launch = LaunchConfig(devices_per_node=8, image="a", volume_claim="b", min_nodes=3, max_restarts=7)
    _, jobset = check_kubernetes(kubernetes_script(job(launch)))
    prepare, train, export = (one["template"]["spec"] for one in jobset["spec"]["replicatedJobs"])
    assert "--nnodes=3:4" in train["template"]["spec"]["containers"][0]["command"][2]
    assert (train["backoffLimitPerIndex"], train["maxFailedIndexes"]) == (7, 1)
    assert "backoffLimit" not in train and prepare["backoffLimit"] == export["backoffLimit"] == 0
    _, jobset = check_kubernetes(kubernetes_script(job()))
    assert all(one["template"]["spec"]["backoffLimit"] == 0 for one in jobset["spec"]["replicatedJobs"])


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
        (["--on", "slurm", "--stage", "curate"], "--stage curate: choose one of tokenize, train, export, evaluate"),
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


PHASE = "phases=[{name='long', total_tokens='1B', sequence_length='32Ki', min_learning_rate=1e-6}]"


def of_phases(long: str, stage: str = "train", **launch: int) -> LaunchJob:
    """By dp8.tp4 on four nodes, but for the phase."""
    recipe, layouts = load_recipe("llama-3.1-8b", [PHASE]), {"llama-3.1-8b": {"long": long}}
    given = LaunchConfig(devices_per_node=8, **launch)
    cluster = Cluster(name="c", device="cuda", devices=64, watts_per_device=1, layouts=layouts, launch=given)
    return launch_job(recipe, cluster, Layout(dp=8, tp=4), ["r"], Path("runs/r"), None, stage)


def test_a_job_has_the_ranks_of_every_phase() -> None:
    with pytest.raises(InputError, match=r"dp8.tp4.pp1 has 32 ranks, and phase long is trained by 16 \(dp4.tp4.pp1\)"):
        of_phases("dp4.tp4")
    assert of_phases("dp4.tp4", "export").nodes == 1
    scores = of_phases("dp4.tp4", "evaluate")
    assert (scores.nodes, scores.layout) == (2, Layout(dp=8, tp=4))  # by the phase's, which the cluster file has
    assert of_phases("dp4.tp4.cp2").nodes == 4
    assert of_phases("dp4.tp4.cp2", min_nodes=2).min_nodes == 2
    with pytest.raises(InputError, match=r"a node of 8 devices .* of layout dp2.tp4.pp1.cp4 .* cannot be spared"):
        of_phases("dp2.tp4.cp4", min_nodes=2)


def test_ranks_that_are_forked_may_be_as_many_as_each_phase_needs() -> None:
    recipe = load_recipe("llama-3.1-8b", [PHASE])
    cluster = Cluster(name="c", device="cpu", watts_per_device=1, layouts={"llama-3.1-8b": {"long": "dp4"}})
    assert launch_job(recipe, cluster, Layout(dp=2), ["r"], Path("runs/r"), None).nodes == 1


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
    """The source recipe takes 46 s a step, of which there may be two, and 4.9 TB there and back over 256 nodes."""
    recipe, cluster = load_recipe("llama-3.1-405b"), load_cluster("h100-2048")
    notice = planned_save_seconds(recipe, cluster, cluster.layout)
    assert 2 * 46 + cluster.operation.save_seconds + 2 * 19 < notice < 400
    small = cluster.model_copy(update={"devices": 8})
    assert planned_save_seconds(load_recipe("llama-3.1-8b"), small, Layout(dp=8)) > 700  # of which a step is 329
    assert planned_save_seconds(recipe, load_cluster("laptop"), Layout()) == 120
    assert job(LaunchConfig(devices_per_node=8, save_seconds=33)).save_seconds == 33


def test_the_notice_is_that_of_the_phase_with_the_longest_step() -> None:
    recipe, cluster = load_recipe("llama-3.1-405b-128k"), load_cluster("h100-2048")
    planned = [
        planned_save_seconds(one.recipe, cluster, layout_of(one, cluster, cluster.layout)) for one in trainings(recipe)
    ]
    launched = launch_job(recipe, cluster, cluster.layout, [recipe.name], Path("run"), None)
    assert launched.save_seconds == max(planned) > planned[0]
