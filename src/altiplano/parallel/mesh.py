"""The device mesh: which pipeline stage, data-, context- and tensor-parallel rank this process is."""

import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from altiplano.errors import InputError
from altiplano.parallel.affinity import bind_beside
from altiplano.recipe.layout import Layout

TIMEOUT = timedelta(minutes=10)
COLLECTIVES = 2000
"""That each rank remembers: PyTorch's own default from 2.9 on, about half a megabyte in a file."""


@dataclass(frozen=True)
class Mesh:
    """The same processes seen twice, outermost dimension first.

    ``ranks``, how the work is split: pp, dp (rows), cp (tokens of a row), tp (innermost: its ranks are neighbours, so
    they share the fastest links). ``weights``, how parameters are split: pp, replicas, shards, tp. Context-parallel
    ranks use the same weights on other tokens, as data-parallel ranks do, so weights are sharded over both:
    replicas × shards = dp × cp.
    """

    ranks: DeviceMesh
    weights: DeviceMesh
    device: torch.device

    def size(self, dimension: str) -> int:
        """``dimension``: pp, dp, cp or tp."""
        return self.ranks[dimension].size()

    def rank(self, dimension: str) -> int:
        return self.ranks.get_local_rank(dimension)

    def group(self, dimension: str) -> dist.ProcessGroup:
        # pp and tp are the same in both; one communicator is enough.
        return (self.weights if dimension in ("pp", "tp") else self.ranks).get_group(dimension)

    def sum(self, value: torch.Tensor, *dimensions: str) -> torch.Tensor:
        """``value`` added up over the given dimensions, on every rank (in place)."""
        for dimension in dimensions:
            if self.size(dimension) > 1:
                dist.all_reduce(value, group=self.group(dimension))
        return value

    def total(self, number: int, *dimensions: str) -> int:
        """``number`` of each rank added up over the given dimensions; asks a device only where these are several."""
        if all(self.size(dimension) == 1 for dimension in dimensions):
            return number
        return int(self.sum(torch.tensor(number, device=self.device), *dimensions))

    @property
    def tensor(self) -> DeviceMesh:
        """Where matrices are split."""
        return self.weights["tp"]

    @property
    def data(self) -> DeviceMesh:
        """Where weights are sharded, and replicated if there are replicas."""
        return self.weights["replicas", "shards"] if self.weights["replicas"].size() > 1 else self.weights["shards"]


def start_mesh(layout: Layout, device: str) -> Mesh:
    """Join the process group of torchrun's environment (a group of one when there is none) and lay out the mesh.

    Raises InputError when the number of processes is not the layout's.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world != layout.world_size:
        raise InputError(f"layout {layout} needs {layout.world_size} processes, torchrun started {world}")
    local = start_processes(device)
    ranks = (layout.pp, layout.dp, layout.cp, layout.tp)
    weights = (layout.pp, layout.replicas, layout.dp // layout.replicas * layout.cp, layout.tp)
    return Mesh(
        init_device_mesh(device, ranks, mesh_dim_names=("pp", "dp", "cp", "tp")),
        init_device_mesh(device, weights, mesh_dim_names=("pp", "replicas", "shards", "tp")),
        local,
    )


def start_processes(device: str, timeout: timedelta = TIMEOUT) -> torch.device:
    """Join the process group of torchrun's environment (a group of one when there is none); this process's device.
    ``timeout``: how long a process may wait for another."""
    if device == "cuda":
        local = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(local)
        record_collectives()
        if "LOCAL_RANK" in os.environ:  # not a program that trains as its only rank, and goes on afterwards
            bind_beside(local)
    else:
        local = torch.device("cpu")
    if not dist.is_initialized():
        allow_open_files()
        world = int(os.environ.get("WORLD_SIZE", "1"))
        backend, bound = ("nccl", local) if device == "cuda" else ("gloo", None)
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            # torchrun keeps its store over restarts, with the addresses of the dead in it: each gets a fresh part.
            store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
            fresh = dist.PrefixStore(f"attempt-{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
            rank = int(os.environ["RANK"])
            dist.init_process_group(backend, store=fresh, rank=rank, world_size=world, timeout=timeout, device_id=bound)
        elif "RANK" in os.environ:
            dist.init_process_group(backend, timeout=timeout, device_id=bound)
        else:
            dist.init_process_group(
                backend, rank=0, world_size=1, store=dist.HashStore(), timeout=timeout, device_id=bound
            )
    return local


def record_collectives() -> None:
    """Let this process remember its last collectives, and write them when one is not done in time: PyTorch's flight
    recorder (``training/resilience/flight_recorder.py``). Before the process group starts."""
    set_default("TORCH_FR_BUFFER_SIZE", "TORCH_NCCL_TRACE_BUFFER_SIZE", f"{COLLECTIVES}")
    set_default("TORCH_NCCL_DUMP_ON_TIMEOUT", "", "1")


def set_default(name: str, older: str, value: str) -> None:
    """Set an environment variable, unless it is set under its name or that of earlier versions of PyTorch."""
    if name not in os.environ and older not in os.environ:
        os.environ[name] = value


def allow_open_files() -> None:
    """As many descriptors as the system lets a process have: shells give 1,024, and a rank has sockets to its
    neighbours and files mapped."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS names a hard limit that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
