"""What became of the text of a run: documents, the way of each one, token shards."""

from altiplano.release.inspect.command import Question, inspect
from altiplano.release.inspect.documents import Wanted

__all__ = ["Question", "Wanted", "inspect"]
