"""The batch script against small stand-ins for srun, scancel and scontrol, which behave as the real ones do where it
matters. ``make slurm`` runs it under a real SLURM.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from launch.jobs import ARGUMENTS, ODD, check_bash, job

from altiplano.errors import InputError
from altiplano.launch.local import script as local_script
from altiplano.launch.slurm import script as slurm_script
from altiplano.launch.slurm import seconds as slurm_seconds
from altiplano.recipe.cluster import LaunchConfig
from altiplano.recipe.layout import Layout


def directives(text: str) -> dict[str, str]:
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")]
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines}


def test_the_batch_script_asks_for_what_the_layout_needs() -> None:
    launch = LaunchConfig(
        devices_per_node=8, partition="batch", account="models", time_limit="1-00:00:00", save_seconds=300
    )
    text = slurm_script(job(launch))
    check_bash(text)
    asked = directives(text)
    assert asked["nodes"] == "4" and asked["ntasks-per-node"] == "1" and asked["gpus-per-node"] == "8"
    assert asked["partition"] == "batch" and asked["account"] == "models" and asked["time"] == "1-00:00:00"
    assert asked["signal"] == "B:TERM@360" and "requeue" in asked
    assert "export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=300\n" in text
    assert "--nnodes=4" in text and "--nproc-per-node=8" in text and "--max-restarts=100" in text
    plain = directives(slurm_script(job(LaunchConfig(devices_per_node=8), device="cpu")))
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
    file.write_text(slurm_script(job(LaunchConfig(devices_per_node=8, python="python", environment=environment))))
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


SAVED = f"mkdir -p '{ODD}/.work/train-1/checkpoints/step-00000007'; exit 7".replace("it's", "it'\\''s")


def test_a_job_that_failed_after_it_got_on_is_queued_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = slurm_job(tmp_path, monkeypatch)
    environment = fake_cluster(tmp_path, SAVED)
    ended = [subprocess.run(["bash", str(file)], env=environment, check=False, timeout=30).returncode for _ in range(2)]
    assert ended == [0, 7]  # the second time there is no newer checkpoint
    assert (tmp_path / "notes").read_text().count("scontrol requeue 42") == 1


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


def test_a_job_that_may_lose_nodes_outlives_them() -> None:
    text = slurm_script(job(LaunchConfig(devices_per_node=8, min_nodes=2)))
    check_bash(text)
    assert "--nnodes=2:4" in text and "--no-kill --kill-on-bad-exit=0" in text and "no-kill" in directives(text)
    with pytest.raises(InputError, match=r"min_nodes = 5: layout .* fills 4 nodes"):
        job(LaunchConfig(devices_per_node=8, min_nodes=5))
    with pytest.raises(InputError, match=r"a node of 8 devices holds no whole number .* = 16"):
        job(LaunchConfig(devices_per_node=8, min_nodes=1), layout=Layout(dp=2, tp=8, pp=2))


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
    launched = job(LaunchConfig(devices_per_node=8, time_limit=limit, save_seconds=120))
    if enough:
        assert f"#SBATCH --time={limit}\n" in slurm_script(launched)
    else:
        with pytest.raises(InputError, match=r"launch\.time_limit = '4' is 240 s.*240 s before its end"):
            slurm_script(launched)


def test_names_that_slurm_could_not_read_are_refused() -> None:
    with pytest.raises(InputError, match=r"launch\.partition = 'a b' is not a name"):
        slurm_script(job(LaunchConfig(devices_per_node=8, partition="a b")))
