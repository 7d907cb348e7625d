"""With several ranks garbage is collected between the same steps on all of them, and not in between."""

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch.distributed as dist

from altiplano.training.garbage import EVERY_STEPS, CollectGarbage


class Circle:
    def __init__(self) -> None:
        self.own = self


@pytest.mark.parametrize("ranks", [1, 2])
def test_garbage_waits_for_its_step(ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gc.unfreeze()  # what a test before this one froze, as mypy does
    gc.enable()
    monkeypatch.setattr(dist, "get_world_size", lambda: ranks)
    callback, run, metrics = CollectGarbage(), SimpleNamespace(step=0), SimpleNamespace()
    arguments: Any = (run, metrics)
    callback.on_train_begin(arguments[0])
    try:
        assert gc.isenabled() is (ranks == 1)
        if ranks == 2:
            assert gc.get_freeze_count() > 1000
            left = weakref.ref(Circle())
            run.step = EVERY_STEPS - 1
            callback.on_step_end(*arguments)
            assert left() is not None
            run.step = EVERY_STEPS
            callback.on_step_end(*arguments)
            assert left() is None
    finally:
        callback.on_train_end(arguments[0])
    assert gc.isenabled() and not gc.get_freeze_count()
