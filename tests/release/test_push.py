"""A release is pushed with the real client to a hub on this machine, verified as it was downloaded, and withdrawn."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_hub import Hub, local_hub
from real_release import Released

from altiplano.errors import InputError
from altiplano.release.notices import add_notice
from altiplano.release.push import push
from altiplano.release.signing import sign
from altiplano.release.verification.verify import verify

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    # read once, when it is imported, perhaps by a test that is offline
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Xet is a service of the hub's own; without it the client sends large files by Git LFS
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with local_hub() as found:
        monkeypatch.setenv("HF_TOKEN", found.token)
        yield found


def download(hub: Hub, repository: str, folder: Path) -> Path:
    for name, content in hub.repositories[repository].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_pushed_release_verifies_where_it_arrives(released: Released, hub: Hub, tmp_path: Path) -> None:
    address = push(released.folder, "press/magazine", public=released.public, endpoint=hub.endpoint)
    assert address.startswith(f"{hub.endpoint}/press/magazine/commit/") and hub.commits == ["Release quickstart"]
    assert len(hub.stored) == 1  # the weights, by Git LFS
    arrived = download(hub, "press/magazine", tmp_path / "arrived")
    assert verify(arrived, released.public) == []
    # An edit of the card is one small commit: the weights are known to the hub.
    with (released.folder / "README.md").open("a") as card:
        card.write("More words.\n")
    sign(released.folder, released.private)
    push(released.folder, "press/magazine", public=released.public, endpoint=hub.endpoint)
    assert hub.repositories["press/magazine"]["README.md"].endswith(b"More words.\n")


def test_a_withdrawn_release_loses_its_weights_on_the_hub(released: Released, hub: Hub, tmp_path: Path) -> None:
    push(released.folder, "press/magazine", public=released.public, endpoint=hub.endpoint)
    add_notice(released.folder, "withdrawn", "It repeats an address.")
    sign(released.folder, released.private)
    push(released.folder, "press/magazine", public=released.public, endpoint=hub.endpoint)
    assert hub.commits[-1] == "Withdraw quickstart"
    assert "model.safetensors" not in hub.repositories["press/magazine"]
    assert b"> **Withdrawn, " in hub.repositories["press/magazine"]["README.md"]
    (problem,) = verify(download(hub, "press/magazine", tmp_path / "arrived"), released.public)
    assert "withdrawn on" in problem


def test_nothing_leaves_that_does_not_verify(released: Released, hub: Hub) -> None:
    with (released.folder / "model.safetensors").open("ab") as file:
        file.write(b"!")
    with pytest.raises(InputError, match=r"does not verify, so nothing was sent: model\.safetensors"):
        push(released.folder, "press/magazine", public=released.public, endpoint=hub.endpoint)
    assert not hub.calls


def test_nothing_leaves_unsigned(released: Released, hub: Hub) -> None:
    (released.folder / "model.sig").unlink()
    with pytest.raises(InputError, match="is not signed"):
        push(released.folder, "press/magazine", public=None, endpoint=hub.endpoint)
    assert not hub.calls


@pytest.mark.parametrize("name", ["", "magazine", "/x", "a/b/c"])
def test_a_repository_has_an_owner_and_a_name(released: Released, hub: Hub, name: str) -> None:
    with pytest.raises(InputError, match="ORGANISATION/NAME"):
        push(released.folder, name, public=None, endpoint=hub.endpoint)


def test_a_refusal_is_one_line(released: Released, hub: Hub) -> None:
    hub.refuse = True
    with pytest.raises(InputError, match=r"press/magazine: not pushed: .*401") as raised:
        push(released.folder, "press/magazine", public=released.public, endpoint=hub.endpoint)
    assert "\n" not in str(raised.value)


def test_no_hub_is_one_line(released: Released, hub: Hub) -> None:
    with pytest.raises(InputError, match="press/magazine: not pushed"):
        push(released.folder, "press/magazine", public=released.public, endpoint="http://127.0.0.1:1")
