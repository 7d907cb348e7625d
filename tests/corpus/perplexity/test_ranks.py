"""The worst share by perplexity."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.perplexity.ranks import perplexity_ranks, worst_perplexity


@given(st.permutations(range(40)), st.floats(0, 0.9))
def test_the_worst_share_of_each_group_goes(order, share):
    n = len(order)
    columns = {
        "id": np.array([f"{i:02d}" for i in range(n)], object),
        "cluster": np.array([f"{i:02d}" for i in range(n)], object),
        "domain": np.full(n, "web", object),
        "language": np.array(["en", "de"] * (n // 2), object),
        "perplexity": np.array(order, float),
        "reason": np.full(n, "", object),
    }
    found = worst_perplexity(columns, perplexity_ranks(columns, share))
    for start in (0, 1):
        values = sorted(zip(order[start::2], found[start::2], strict=True))
        dropped = int(share * len(values))
        assert [reason == "perplexity" for _, reason in values] == [False] * (len(values) - dropped) + [True] * dropped
