"""A rank runs on the processors beside its GPU: on a machine of several NUMA nodes the way to the others' memory is
longer and shared.

torchrun's ``--numa-binding`` does the same (``torch/numa/binding.py``) but ends the job where the command ``numactl``
is missing, as in most images, or the job has no processor on that node. Here such a rank stays where it was.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

SYSTEM = Path("/sys")
NOT_SAID = (OSError, ValueError, AttributeError, RuntimeError)
"""By a system, by one without ``sched_getaffinity`` (only Linux has it), and by a driver."""


def bind_beside(device: torch.device) -> None:
    """Let all threads of this process, and what they start, run on the processors of its GPU's NUMA node. Of processors
    that it was given (by SLURM, a container or numactl) it takes no others, and stays where it was when only a rest of
    them is beside it. Never fails."""
    with suppress(*NOT_SAID):
        given = os.sched_getaffinity(0)
        beside = given & processors_beside(device)
        if beside == given or not _is_fair(beside, given):
            return
        for thread in map(int, os.listdir("/proc/self/task")):  # noqa: PTH208
            with suppress(OSError):  # it has ended
                if os.sched_getaffinity(thread) == given:  # one that is elsewhere was put there
                    os.sched_setaffinity(thread, beside)


def where_ranks_run(device: torch.device) -> str:
    """Of a GPU, in words."""
    try:
        given = os.sched_getaffinity(0)
        beside = given & processors_beside(device)
    except NOT_SAID as error:
        return f"{device} anywhere: which processors are beside it is not known ({error})"
    if not beside:
        return f"{device} anywhere: no processor beside it was given to this process"
    if not _is_fair(beside, given):
        return f"{device} anywhere: of the {len(given)} processors of this process only {len(beside)} are beside it"
    return f"{device} on {len(beside)} of {len(given)} processors"


def _is_fair(beside: set[int], given: set[int]) -> bool:
    """Whether one node has its share of the processors: a rank on a tiny rest of them would be slower than far away."""
    return bool(beside) and len(beside) * _nodes() >= len(given)


def _nodes() -> int:
    return sum(1 for _ in (SYSTEM / "devices/system/node").glob("node[0-9]*"))


def processors_beside(device: torch.device) -> set[int]:
    """Of the NUMA node of a GPU. Raises one of NOT_SAID where the system does not say."""
    card: Any = torch.cuda.get_device_properties(device)
    address = f"{card.pci_domain_id:04x}:{card.pci_bus_id:02x}:{card.pci_device_id:02x}.0"
    node = int((SYSTEM / "bus/pci/devices" / address / "numa_node").read_text())
    if node < 0 and (nodes := _nodes()) > 1:
        raise ValueError(f"{address} has numa_node {node} on a machine of {nodes} nodes")
    # -1: there is only one
    listed = (SYSTEM / f"devices/system/node/node{max(node, 0)}/cpulist").read_text()
    ranges = [part.split("-") for part in listed.strip().split(",") if part]
    return {number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)}
