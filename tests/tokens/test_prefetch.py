"""Prefetching changes when a batch is read, never which; its thread fails in the open and leaves nothing behind."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from altiplano.errors import InputError
from altiplano.tokens.loader import Batch, Prefetcher, read_batch
from altiplano.tokens.shards import read_shards
from altiplano.tokens.training_data import TrainingData


@pytest.fixture
def data(tokenized: Path) -> TrainingData:
    return TrainingData(read_shards(tokenized, "train"), 64, 512, seed=3)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_batches_come_in_the_plans_order(data: TrainingData) -> None:
    plan = [range(4), range(4, 12), range(0), range(12, 15)]
    with Prefetcher(partial(read_batch, data), plan) as batches:
        got = list(batches)
    expected = [read_batch(data, samples) for samples in plan]
    for ours, direct in zip(got, expected, strict=True):
        assert torch.equal(ours.tokens, direct.tokens) and torch.equal(ours.document, direct.document)
    assert not threads()


def test_no_more_than_asked_for_lies_ready() -> None:
    read: list[int] = []

    def counting(samples: np.ndarray | range) -> Batch:
        read.append(int(samples[0]))
        return Batch(*[torch.zeros(len(samples), 1)] * 3)

    with Prefetcher(counting, (range(i, i + 1) for i in range(10**9)), ahead=3) as batches:
        deadline = time.monotonic() + 10
        while len(read) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert len(read) == 4  # three ready and one in hand
        next(batches)
    assert not threads()
    assert len(read) <= 6


def test_an_error_is_raised_in_the_step_that_needs_the_batch(data: TrainingData) -> None:
    def failing(samples: np.ndarray | range) -> Batch:
        if samples[0] == 8:
            raise InputError("web.en.bin cannot be read (Input/output error); tokenize again")
        return read_batch(data, samples)

    batches = Prefetcher(failing, [range(4), range(4, 8), range(8, 12), range(12, 16)])
    assert torch.equal(next(batches).tokens, read_batch(data, range(4)).tokens)
    assert torch.equal(next(batches).tokens, read_batch(data, range(4, 8)).tokens)
    for _ in range(2):  # and again, rather than waiting for a thread that has ended
        with pytest.raises(InputError, match=r"web\.en\.bin cannot be read"):
            next(batches)
    batches.close()
    assert not threads()


def test_a_broken_plan_is_an_error_too(data: TrainingData) -> None:
    def plan() -> Iterator[range]:
        yield range(4)
        raise KeyError("no such step")

    batches = Prefetcher(partial(read_batch, data), plan())
    next(batches)
    with pytest.raises(KeyError, match="no such step"):
        next(batches)
    batches.close()


def test_it_can_be_closed_at_any_time_and_a_new_one_starts_elsewhere(data: TrainingData) -> None:
    for taken in range(4):
        batches = Prefetcher(partial(read_batch, data), (range(i * 4, i * 4 + 4) for i in range(10**9)))
        for _ in range(taken):
            next(batches)
        batches.close()
        batches.close()
        assert not threads()
        with pytest.raises(ValueError, match="closed"):
            next(batches)
    with Prefetcher(partial(read_batch, data), [range(400, 404)]) as batches:
        assert torch.equal(next(batches).tokens, read_batch(data, range(400, 404)).tokens)


def test_batches_for_a_gpu_are_pinned_on_that_gpu(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread says which one: it would begin at the first. What pinned memory is, ``tests/gpu`` sees."""
    chosen, pinned = [], []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(Batch, "pinned", lambda batch: pinned.append(threading.current_thread().name) or batch)
    with Prefetcher(partial(read_batch, data), [range(4), range(4, 8)], device=torch.device("cuda", 3)) as batches:
        assert len(list(batches)) == 2
    assert chosen == [torch.device("cuda", 3)] and pinned == ["prefetch", "prefetch"]
    with Prefetcher(partial(read_batch, data), [range(4)], device=torch.device("cpu")) as batches:
        assert len(list(batches)) == 1
    assert len(chosen) == 1 and len(pinned) == 2
