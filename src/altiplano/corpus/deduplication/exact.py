"""Documents with the same text, up to white space."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pairs(text_hashes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges ``(first, other)`` between the rows that share a hash."""
    _, first, inverse = np.unique(text_hashes, return_index=True, return_inverse=True)
    rows = np.arange(len(text_hashes))
    other = first[inverse] != rows
    return first[inverse][other], rows[other]
