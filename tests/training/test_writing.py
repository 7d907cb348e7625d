"""A checkpoint's folder is the one that PyTorch's own code writes and reads; its index is made anew when it changes."""

import errno
import os
import pickle
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.utils._python_dispatch import TorchDispatchMode

from altiplano.parallel.mesh import start_mesh
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.schema import CheckpointConfig
from altiplano.storage import append_line
from altiplano.training.checkpoints import checkpoint, loading, saving
from altiplano.training.checkpoints.reader import CheckpointReader
from altiplano.training.checkpoints.staging import HostCopies
from altiplano.training.checkpoints.writing import Written, as_text, index_of, is_chosen, write_tensors


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    start_mesh(parse_layout("dp1"), "cpu")
    yield
    dist.destroy_process_group()


def test_pytorch_reads_what_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(saving, "index_of", lambda told: made.append(told) or index_of(told))
    tensors = {"model.a": torch.randn(3, 4), "exp_avg.a": torch.arange(5.0)}
    saver = saving.Saver(tmp_path, tensors, CheckpointConfig(interval_steps=1))
    for step in (1, 2):
        tensors["model.a"] += 1
        saver.copy(step, {}, saving.PERMANENT)
        saver.start()
        assert saver.finish() is None
    assert len(made) == 1  # everything lies where it lay
    for read in (dcp.FileSystemReader, CheckpointReader):
        found = {name: torch.zeros_like(value) for name, value in tensors.items()}
        dcp.load(found, storage_reader=read(checkpoint.of_step(tmp_path, 2)))
        assert all(torch.equal(found[name], value) for name, value in tensors.items())
    assert checkpoint.check(checkpoint.of_step(tmp_path, 2)).problem == ""


def test_what_was_recorded_is_on_the_disk_before_a_checkpoint_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a checkpoint is not written before the record of its step is."""
    happened: list[str] = []
    sync = saving.sync

    def noted(path: Path) -> None:
        sync(path)
        happened.append(f"{path.name} {path.stat().st_size if path.is_file() else ''}".strip())

    monkeypatch.setattr(saving, "sync", noted)
    folder = tmp_path / "checkpoints"
    saver = saving.Saver(folder, {"model.a": torch.zeros(4)}, CheckpointConfig(interval_steps=1), records=tmp_path)
    saver.copy(1, {}, saving.PERMANENT)
    assert saver.finish() is None and not checkpoint.saved(folder)
    for name in ("metrics.jsonl", "incidents.jsonl"):
        append_line(tmp_path / name, "{}")
    saver.start()
    assert saver.finish() is None
    assert happened[-4:] == ["incidents.jsonl 3", "metrics.jsonl 3", tmp_path.name, "checkpoints"]
    saver.start()
    assert saver.thread is None  # one copy is one checkpoint


def test_a_disk_that_fails_while_a_checkpoint_is_read_is_said_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = {"model.a": torch.zeros(4)}
    saver = saving.Saver(tmp_path, tensors, CheckpointConfig(interval_steps=1))
    saver.copy(1, {}, saving.PERMANENT)
    saver.start()
    assert saver.finish() is None

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "__0_0.distcp")

    monkeypatch.setattr(CheckpointReader, "read_data", fail)
    with pytest.raises(OSError) as caught:
        loading.load_newest(tmp_path, tensors)
    assert str(caught.value) == "[Errno 5] Input/output error: '__0_0.distcp'"


def part(start: int, stop: int) -> Written:
    return Written("a", "float32", [10, 2], [start, 0], [stop - start, 2], f"__{start}_0.distcp", 0, 8)


class FreshMemory(TorchDispatchMode):
    """Counts the tensors on the CPU that are made or copied to others."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        if any(word in str(function) for word in ("empty", "_to_copy", "clone", "zeros")):
            self.made.append(str(function))
        return function(*arguments, **(named or {}))


def test_the_copies_of_a_state_are_made_in_the_same_memory_at_every_save() -> None:
    mesh = init_device_mesh("cpu", (1,))
    spread = distribute_tensor(torch.randn(6, 4), mesh, [Shard(0)])
    tensors = {"model.a": spread, "exp_avg.a": torch.arange(5.0), "model.none": torch.empty(0, 3)}
    copies = HostCopies(tensors)
    first = dict(copies.take())
    before = {name: value.clone() for name, value in first.items()}
    for value in tensors.values():
        value.add_(1)
    assert all(torch.equal(local(first[name]), local(before[name])) for name in tensors)  # not the state itself
    with FreshMemory() as fresh:
        second = copies.take()
    assert fresh.made == []
    assert all(second[name] is first[name] for name in tensors)
    assert all(torch.equal(local(second[name]), local(value)) for name, value in tensors.items())
    assert isinstance(second["model.a"], DTensor) and second["model.a"].placements == spread.placements


def test_where_memory_cannot_be_pinned_other_memory_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda tensor: True))
    asked = []
    real = torch.empty_like

    def without_room(tensor: torch.Tensor, pin_memory: bool = False, **how: Any) -> torch.Tensor:
        asked.append(pin_memory)
        if pin_memory:
            raise RuntimeError("out of memory")
        return real(tensor, **how)

    monkeypatch.setattr(torch, "empty_like", without_room)
    state = torch.arange(3.0)
    found = HostCopies({"a": state, "b": state}).take()
    assert torch.equal(found["a"], state) and torch.equal(found["b"], state)
    assert asked == [True, False, False]
    assert capsys.readouterr().err.count("not pinned: out of memory") == 1


def local(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def test_an_index_tells_every_part() -> None:
    """Of two ranks whose tensors are cut alike, as it was before one of them was told once only."""
    told = [
        [
            Written(name, dtype, [10, 2], [rank * 5, 0], [5, 2], f"__{rank}_0.distcp", begin, 5 * 2 * width)
            for name, dtype, begin, width in (("a", "float32", 0, 4), ("b", "float32", 40, 4), ("c", "bfloat16", 80, 2))
        ]
        for rank in range(2)
    ]
    texts = [as_text(parts) for parts in told]
    assert texts[0].count("[10, 2]") == 2  # of each element type
    found = pickle.loads(index_of(texts))
    assert {
        (index.fqn, *index.offset, index.index, place.relative_path, place.offset, place.length)
        for index, place in found.storage_data.items()
    } == {(p.tensor, *p.offsets, rank, p.file, p.begin, p.length) for rank, parts in enumerate(told) for p in parts}
    for name, whole in found.state_dict_metadata.items():
        assert whole.size == torch.Size([10, 2])
        assert whole.properties.dtype is (torch.bfloat16 if name == "c" else torch.float32)
        assert [[*chunk.offsets, *chunk.sizes] for chunk in whole.chunks] == [[0, 0, 5, 2], [5, 0, 5, 2]]


def test_a_tensor_that_is_not_whole_is_refused() -> None:
    index_of([as_text([part(0, 4)]), as_text([part(4, 10)])])
    with pytest.raises(ValueError, match=r"a was not written whole \(\+4 elements"):
        index_of([as_text([part(0, 4)]), as_text([part(6, 10)])])
    with pytest.raises(ValueError, match=r"a was not written whole \(-4 elements"):
        index_of([as_text([part(0, 6)]), as_text([part(4, 10)])])


def test_one_of_those_that_hold_the_same_writes_it() -> None:
    shape, places = (4, 3), [(row, column) for row in range(4) for column in range(3)]
    for name in ("model.norm", "model.other.norm", "exp_avg.norm"):
        assert sum(is_chosen(name, place, shape, (Replicate(), Replicate())) for place in places) == 1
        chosen = [place for place in places if is_chosen(name, place, shape, (Shard(0), Replicate()))]
        assert [row for row, _ in chosen] == [0, 1, 2, 3] and len({column for _, column in chosen}) == 1


def test_a_full_disk_is_told_as_such_wherever_in_a_file_it_comes(tmp_path: Path) -> None:
    """PyTorch's writer says "unexpected pos 704 vs 598" of some."""
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", tmp_path]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        for number in (20, 100, 140, 300, 520, 700, 900, 1000, 1010, 1020, 1500):
            with pytest.raises(OSError, match="No space left on device"):
                write_tensors({f"t{place}": torch.zeros(number) for place in range(40)}, tmp_path / "checkpoint", 0)
            shutil.rmtree(tmp_path / "checkpoint")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
