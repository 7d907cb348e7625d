"""Buckets by perplexity."""

import numpy as np

from altiplano.corpus.perplexity.ranks import buckets, perplexity_ranks


def test_buckets_are_thirds_of_a_group():
    n = 90
    found = {
        "id": np.array([f"{i:02d}" for i in range(n)], object),
        "cluster": np.array([f"{i:02d}" for i in range(n)], object),
        "domain": np.full(n, "web", object),
        "language": np.array(["en", "de"] * (n // 2), object),
        "perplexity": np.where(np.arange(n) < 88, np.arange(n), np.nan),
        "reason": np.full(n, "", object),
    }
    result = buckets(found, perplexity_ranks(found, 0.1))
    for language in ("en", "de"):
        own = result[(found["language"] == language) & (np.arange(n) < 88)]
        names, counts = np.unique(own.astype(str), return_counts=True)
        assert names.tolist() == ["head", "middle", "tail"] and counts.max() - counts.min() <= 1
        assert own.tolist() == sorted(own)
    assert result[88:].tolist() == ["", ""]
