"""Where a model answers, and what is said when a device is not here."""

import pytest
import torch

from altiplano.cli import run
from altiplano.errors import InputError
from altiplano.inference.device import choose_device


def test_a_device_that_is_not_here_is_refused_with_those_that_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device cuda is not here; this machine has cpu$"):
        choose_device("cuda")
    assert run(["generate", "no-such-model", "text", "--device", "tpu"]) == 2
    assert capsys.readouterr().err == "altiplano: device tpu is not here; this machine has cpu\n"


def test_the_gpu_is_taken_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device() == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="this machine has cpu, cuda, cuda:0, cuda:1"):
        choose_device("cuda:2")
