"""Ranks find one another under torchrun, whether its agent keeps the store or the first rank does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
