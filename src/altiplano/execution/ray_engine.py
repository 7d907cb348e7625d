"""Shard tasks on a Ray cluster: the same functions, on every machine that sees the same files."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from altiplano.errors import InputError
from altiplano.execution.base import Engine, TaskCrashedError, alone
from altiplano.optional_imports import extra

PATIENCE = 10.0
"""Seconds for the head of a cluster to answer."""
WAITING = 4
"""Tasks given to the cluster at a time, per processor that it has."""


@contextmanager
def ray_engine(address: str | None, workers: int | None) -> Iterator[Engine]:
    """The engine of the cluster at ``address``, or of one started on this machine with ``workers`` processors.

    Raises InputError when there is no such cluster.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of its own future default
    ray = extra("ray", "cluster")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        knock(address)
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(num_cpus=workers, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        # Ray's clusters ask for a token by default, and its error does not say so.
        hint = "" if os.environ.get("RAY_AUTH_MODE") == "token" else "; if it asks for a token, set RAY_AUTH_MODE=token"
        where = f"no cluster at {address} ({reason}){hint}" if address else f"none started here ({reason})"
        raise InputError(f"--engine ray: {where}") from error
    try:
        yield RayTasks(ray)
    finally:
        ray.shutdown()


def knock(address: str) -> None:
    """Raise InputError when nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return  # such as auto, which Ray looks up
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--engine ray: no cluster at {address} ({reason}); ray start --head starts one") from error


class RayTasks:
    def __init__(self, ray: Any):
        self.ray = ray
        self.most = WAITING * max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        # Ray would count a task that kills its process against the cluster; we count it, and skip it.
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
    with alone():
        work(task)
