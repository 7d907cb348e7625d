"""A rank runs beside its GPU where that is known, on no processor that it was not given, and never fails for it."""

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from altiplano.parallel import affinity, mesh
from altiplano.parallel.affinity import bind_beside, processors_beside, where_ranks_run

GPU = torch.device("cuda", 1)
GIVEN = {0, 1, 9, 10, 11}


@pytest.fixture
def two_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of two NUMA nodes, with GPU 1 on the second; of its processors this process was given some."""
    card = SimpleNamespace(pci_domain_id=0, pci_bus_id=0xDC, pci_device_id=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: {GPU: card}[device])
    monkeypatch.setattr(affinity, "SYSTEM", tmp_path)
    device = tmp_path / "bus/pci/devices/0000:dc:00.0"
    device.mkdir(parents=True)
    (device / "numa_node").write_text("1\n")
    for node, processors in enumerate(("0-3,8\n", "4-7,9-15\n")):
        folder = tmp_path / f"devices/system/node/node{node}"
        folder.mkdir(parents=True)
        (folder / "cpulist").write_text(processors)
    return tmp_path


@pytest.fixture
def one_node(two_nodes: Path) -> Path:
    (two_nodes / "devices/system/node/node1").rename(two_nodes / "elsewhere")
    (two_nodes / "devices/system/node/node0/cpulist").write_text("0-15\n")
    (two_nodes / "bus/pci/devices/0000:dc:00.0/numa_node").write_text("-1\n")
    return two_nodes


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> dict[int, set[int]]:
    """Where the kernel lets each thread run, as far as it was asked."""
    placed: dict[int, set[int]] = {}
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: placed.get(thread, GIVEN))
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, processors: placed.update({thread: processors}))
    return placed


def test_all_threads_run_beside_the_gpu(two_nodes: Path, threads: dict[int, set[int]]) -> None:
    assert processors_beside(GPU) == {4, 5, 6, 7, *range(9, 16)}
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    threads[int(other.native_id or 0)] = {0}  # somebody has put it there
    try:
        bind_beside(GPU)
    finally:
        done.set()
        other.join()
    assert threads.pop(int(other.native_id or 0)) == {0}
    assert threads[threading.get_native_id()] == {9, 10, 11}
    assert set(map(frozenset, threads.values())) == {frozenset({9, 10, 11})}


def test_on_one_node_all_processors_are_beside(one_node: Path, threads: dict[int, set[int]]) -> None:
    bind_beside(GPU)
    assert threads == {} and where_ranks_run(GPU) == "cuda:1 on 5 of 5 processors"


@pytest.mark.parametrize("machine", ["not said", "none given", "not known", "a rest given", "no such node"])
def test_elsewhere_it_stays_where_it_was(machine: str, two_nodes: Path, threads: dict[int, set[int]]) -> None:
    node = two_nodes / "bus/pci/devices/0000:dc:00.0/numa_node"
    if machine == "not said":
        node.unlink()
    elif machine == "none given":
        (two_nodes / "devices/system/node/node1/cpulist").write_text("4-7\n")
    elif machine == "not known":
        node.write_text("-1\n")
    elif machine == "a rest given":
        (two_nodes / "devices/system/node/node1/cpulist").write_text("4-7,9\n")
    else:
        node.write_text("7\n")
    bind_beside(GPU)
    assert threads == {}
    said = where_ranks_run(GPU)
    assert said.startswith("cuda:1 anywhere: ")
    if machine == "not known":
        assert "numa_node -1 on a machine of 2 nodes" in said
    if machine == "a rest given":
        assert said.endswith("of the 5 processors of this process only 1 are beside it")


@pytest.mark.parametrize("is_rank", [True, False])
def test_a_rank_is_bound_and_a_program_that_trains_is_not(is_rank: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[torch.device] = []
    monkeypatch.setattr(mesh, "bind_beside", bound.append)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(mesh, "record_collectives", lambda: None)
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if is_rank:
        monkeypatch.setenv("LOCAL_RANK", "1")
    mesh.start_processes("cuda")
    assert bound == ([GPU] if is_rank else [])
