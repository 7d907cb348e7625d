"""Fixtures that several rooms share: a small recipe and a tokenized folder of made-up text."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from small import SMALL, write_tokenized

from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe

# Test processes share the cores: one thread each, or they wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"

# What starts the tests may ignore these, as a shell does for what it runs in the background; the tests send them.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

# Two busy cores are no ground for deadlines.
settings.register_profile("altiplano", deadline=None)
settings.load_profile("altiplano")


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    """Ten steps of sixteen sequences; a four-layer model that trains in a second."""
    return load_recipe("quickstart", SMALL)


@pytest.fixture(scope="session")
def tokenized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenized folder as the stage writes it: web and code shards, training and held-out, vocabulary 768."""
    folder = tmp_path_factory.mktemp("tokenized")
    write_tokenized(folder)
    return folder
