"""What an execution engine is: something that runs shard tasks, here or on a cluster."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol


class Engine(Protocol):
    """Runs tasks somewhere. A task depends on nothing but its arguments and files, so that every engine, with any
    number of workers, writes the same bytes."""

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        """Each task with None, or with the error it failed with, in the order in which they end."""


class TaskCrashedError(Exception):
    """The process of a task died."""
