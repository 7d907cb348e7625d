"""Connected components of a graph given by its edges."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


def components(size: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of ``size`` nodes the smallest node that it is connected to, directly or through others."""
    parent = np.arange(size)
    _unite(parent, left, right)
    return parent


@numba.njit(cache=True)
def _root(parent: Any, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True)
def _unite(parent: Any, left: Any, right: Any) -> None:
    for edge in range(len(left)):
        one, other = _root(parent, left[edge]), _root(parent, right[edge])
        if one < other:
            parent[other] = one
        else:
            parent[one] = other
    for node in range(len(parent)):
        parent[node] = _root(parent, node)
