"""Where a text comes from: how often and in which documents it stands in a run's token shards, and when it was read."""

from altiplano.trace.build import build_index
from altiplano.trace.index import Index, Match, Place, open_index

__all__ = ["Index", "Match", "Place", "build_index", "open_index"]
