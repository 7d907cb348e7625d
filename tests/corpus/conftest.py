"""Fixtures of the tests of curation."""

from pathlib import Path

import pytest

from altiplano.corpus.curation import curate
from corpus.support import samples_corpus


@pytest.fixture(scope="session")
def curated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("curated")
    curate(samples_corpus(), seed=0, folder=folder, workers=1)
    return folder
