"""Shard tasks on a Ray cluster: the same functions, on every machine that sees the same files."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from altiplano.corpus.engine import Engine, TaskCrashedError
from altiplano.corpus.extras import extra
from altiplano.errors import InputError

WAITING = 4
"""Tasks given to the cluster at a time, per processor that it has."""


@contextmanager
def ray_engine(address: str | None, workers: int | None) -> Iterator[Engine]:
    """Of the cluster at ``address``, or of one started on this machine with ``workers`` processors.

    Raises InputError when there is no such cluster.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of its own future default
    ray = extra("ray", "cluster")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(num_cpus=workers, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"--engine ray: no cluster at {address or 'this machine'} ({reason})") from error
    try:
        yield RayTasks(ray)
    finally:
        ray.shutdown()


class RayTasks:
    def __init__(self, ray: Any):
        self.ray = ray
        self.most = WAITING * max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        # Ray would count a task that kills its process against the cluster; we count it, and give it up.
        remote = self.ray.remote(max_retries=0)(_call)
        shared = self.ray.put(work)
        waiting = iter(tasks)
        running: dict[Any, Any] = {}
        while True:
            for task in waiting:
                running[remote.remote(shared, task)] = task
                if len(running) == self.most:
                    break
            if not running:
                return
            done, _ = self.ray.wait(list(running))
            for reference in done:
                task = running.pop(reference)
                try:
                    self.ray.get(reference)
                except self.ray.exceptions.RayTaskError as error:
                    cause = error.cause
                    yield task, cause if isinstance(cause, Exception) else error
                except self.ray.exceptions.RayError as error:
                    yield task, TaskCrashedError(f"its process died ({type(error).__name__})")
                else:
                    yield task, None


def _call(work: Callable[[Any], None], task: Any) -> None:
    work(task)
