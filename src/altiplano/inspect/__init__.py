"""What became of the text of a run: documents, the trace of each one, token shards."""

from altiplano.inspect.document_search import Wanted
from altiplano.inspect.inspect import Question, inspect

__all__ = ["Question", "Wanted", "inspect"]
