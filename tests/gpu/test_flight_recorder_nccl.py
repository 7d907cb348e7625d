"""NCCL's flight recorder: what a rank that hangs leaves, and that PyTorch's own program reads it."""

import pickle
import subprocess
import sys
from pathlib import Path

from altiplano.training.resilience.flight_recorder import NEWEST

HANGS = """
import sys
from functools import partial
from pathlib import Path
import torch, torch.distributed as dist
from altiplano.parallel.mesh import start_processes
from altiplano.training.resilience import flight_recorder
from altiplano.training.resilience.heartbeat import Heartbeat, Watchdog, stack_shown_when_asked

folder = Path(sys.argv[1])
beats = folder / "heartbeats"
device = start_processes("cuda")  # as under torchrun, before a rank hears of its training
flight_recorder.keep_collectives_in(folder, first=True)
with stack_shown_when_asked(beats, 0, partial(flight_recorder.write_collectives, folder, 0)):
    Heartbeat(beats, 0, 2.0, 60.0).beat("compute")
    dist.all_reduce(torch.ones(3, 5, device=device))
    torch.cuda._sleep(10**11)  # a kernel of a minute, as a collective whose peers are gone
    dist.all_gather_into_tensor(torch.empty(7, device=device), torch.ones(7, device=device))
    Watchdog(beats, folder, 2.0, records_collectives=True).start()
    torch.cuda.synchronize()
"""


def test_a_rank_that_hangs_leaves_its_collectives(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HANGS, str(tmp_path)], capture_output=True, timeout=200, check=False)
    assert done.returncode == -9, done.stderr[-3000:]
    recorded = pickle.loads((tmp_path / NEWEST / "rank_0").read_bytes())
    last = recorded["entries"][-2:]
    assert [one["profiling_name"] for one in last] == ["nccl:all_reduce", "nccl:_all_gather_base"]
    assert last[0]["input_sizes"] == [[3, 5]] and last[1]["state"] != "completed"
    assert "1 of 1 ranks" in (tmp_path / "incidents.jsonl").read_text()
    read = [sys.executable, "-m", "torch.distributed.flight_recorder.fr_trace", str(tmp_path / NEWEST), "-j"]
    shown = subprocess.run(read, capture_output=True, text=True, check=False, timeout=100)
    assert shown.returncode == 0 and "all_reduce" in shown.stdout + shown.stderr, shown.stderr[-3000:]
