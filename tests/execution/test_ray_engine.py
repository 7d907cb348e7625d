"""The same bytes from a Ray cluster, which is started on this machine."""

import pytest
from corpus.support import contents, samples_corpus

from altiplano.corpus.curation import curate
from altiplano.errors import InputError


def test_ray_gives_the_same_bytes(tmp_path):
    pytest.importorskip("ray")
    curate(samples_corpus(), 0, tmp_path / "here", workers=1)
    curate(samples_corpus(), 0, tmp_path / "ray", workers=2, engine="ray")
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")


def test_another_engine_is_refused(tmp_path):
    with pytest.raises(InputError, match="--engine spark: must be local, ray or ray:ADDRESS"):
        curate(samples_corpus(), 0, tmp_path, engine="spark")


def test_an_address_where_nobody_listens_is_one_quick_line(tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"no cluster at 127\.0\.0\.1:1 \(Connection refused\); ray start --head"):
        curate(samples_corpus(), 0, tmp_path, engine="ray:127.0.0.1:1")
