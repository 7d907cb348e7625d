"""Where a model answers: on the GPU when there is one."""

import torch

from altiplano.errors import InputError


def choose_device(name: str = "") -> torch.device:
    """The device called ``name``, as ``cpu``, ``cuda`` or ``cuda:1``; empty: the GPU when there is one.

    Raises InputError when it is not here.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{number}" for number in range(gpus))]
    if not name:
        return torch.device("cuda" if gpus else "cpu")
    if name not in names:
        raise InputError(f"device {name} is not here; this machine has {', '.join(names)}")
    return torch.device(name)
