"""Of a cluster one document stays."""

import numpy as np

from altiplano.corpus.deduplication.clusters import duplicates


def test_duplicates_leave_the_lowest_surviving_id():
    reasons = duplicates(
        {
            "id": np.array(list("edcbaf"), object),
            "text_hash": np.array(["x", "x", "y", "z", "x", "w"], object),
            "cluster": np.array(["a", "a", "a", "b", "a", "0"], object),
            "reason": np.array(["", "", "", "", "perplexity", ""], object),
            "earlier": np.array([False] * 5 + [True]),
        }
    )
    assert reasons.tolist() == ["exact duplicate", "near duplicate", "", "", "perplexity", "in an earlier run"]
