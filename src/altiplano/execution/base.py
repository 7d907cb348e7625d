"""What an execution engine is: something that runs shard tasks, here or on a cluster."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Engine(Protocol):
    """Runs tasks somewhere. A task depends on nothing but its arguments and files, so that every engine, with any
    number of workers, writes the same bytes."""

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        """Each task with None, or with the error it failed with, in the order in which they end."""


class TaskCrashedError(Exception):
    """The process of a task died."""


_alone = False


@contextmanager
def alone() -> Iterator[None]:
    """The task that runs now has a process, and all that ends this process, for itself."""
    global _alone  # noqa: PLW0603
    _alone = True
    try:
        yield
    finally:
        _alone = False


def is_alone() -> bool:
    """Whether no other task can have ended the process of this one."""
    return _alone
