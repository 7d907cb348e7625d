"""Ranks find one another under torchrun, whether its agent keeps the store or the first rank does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small import SMALL

from altiplano.storage import digest

SCRIPT = r"""
import os, torch, torch.distributed as dist
from altiplano.parallel.mesh import start_mesh
from altiplano.recipe.layout import Layout
start_mesh(Layout(dp=2), "cpu")
one = torch.ones(1)
dist.all_reduce(one)
os.write(1, f"ranks: {int(one)}\n".encode())
dist.barrier()
os._exit(0)
"""


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_ranks_meet(disabled: str, tmp_path: Path) -> None:
    (tmp_path / "rank.py").write_text(SCRIPT)
    environment = os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": disabled}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run(
        [*command, str(tmp_path / "rank.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.stdout.count("ranks: 2") == 2, (ended.returncode, ended.stdout, ended.stderr)


STAGE = r"""
import json, os, sys
from pathlib import Path
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.stages import train
from altiplano.stages.stage import Context
tokens, folder, export, *overrides = sys.argv[1:]
context = Context(load_recipe("quickstart", overrides), load_cluster("laptop"), Layout(dp=2), Path(folder),
                  Path(folder), {"tokenize": Path(tokens)}, export_only=export == "export")
result = train.run(context)
if os.environ["RANK"] == "0":
    Path(folder, "result.json").write_text(json.dumps([result.finished, result.message, result.digests]))
os._exit(0)
"""


@pytest.mark.slow
def test_training_ends_before_its_weights_are_written(tokenized: Path, tmp_path: Path) -> None:
    """Under torchrun the ranks that trained leave their devices; ``altiplano export`` is a job of its own."""
    (tmp_path / "stage.py").write_text(STAGE)
    folder = tmp_path / "work"
    folder.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(tmp_path / "stage.py"), str(tokenized), str(folder)]

    def run(what: str) -> tuple[bool, str, dict[str, str]]:
        done = subprocess.run([*command, what, *SMALL], capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr
        finished, message, digests = json.loads((folder / "result.json").read_text())
        return finished, message, digests

    finished, message, _ = run("train")
    assert not finished and "altiplano export RECIPE" in message
    assert not (folder / "weights").exists()
    assert run("train")[1] == message  # nothing is trained again
    finished, _, digests = run("export")
    assert finished
    assert digests == {"weights/model.safetensors": digest(folder / "weights" / "model.safetensors")}
