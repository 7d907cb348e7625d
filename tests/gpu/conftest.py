"""Tests of a CUDA GPU: ``make gpu`` runs them and measures; without a GPU they are skipped."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

if torch.cuda.is_available():
    # Each test compiles a few kernels: starting a pool of compilers for them takes longer.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(autouse=True)
def float32_is_float32() -> Iterator[None]:
    """No TF32, which nothing of Altiplano turns on either."""
    assert torch.get_float32_matmul_precision() == "highest"
    yield
    assert torch.get_float32_matmul_precision() == "highest"
