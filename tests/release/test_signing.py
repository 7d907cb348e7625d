"""Signatures: keys, what is signed, and signing again without reading the weights."""

import base64
import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from real_release import Released

from altiplano.errors import InputError
from altiplano.release.signing import listed, make_key, sign, signature_problems


def signed_digests(folder: Path) -> dict[str, str]:
    """Straight from the bundle, as anybody reads it."""
    bundle = json.loads((folder / "model.sig").read_text())
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return {one["name"]: one["digest"] for one in payload["predicate"]["resources"]}


def test_every_file_is_signed_but_the_signature(first_release: Released) -> None:
    names = {path.relative_to(first_release.folder).as_posix() for path in listed(first_release.folder)}
    assert signed_digests(first_release.folder).keys() == names
    assert {"model.safetensors", "README.md", "evidence/index.json", "manifest.json"} <= names


def test_signing_again_reads_no_weights_and_signs_the_same(released: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = released.folder
    (folder / "model.sig").unlink()
    everything = sign(folder, released.private)
    first = signed_digests(folder)
    with (folder / "README.md").open("a") as card:
        card.write("My own words.\n")
    opened: list[str] = []
    real = builtins.open

    def watched(file: Any, *rest: Any, **more: Any) -> Any:
        opened.append(Path(file).name if isinstance(file, str | Path) else "")
        return real(file, *rest, **more)

    monkeypatch.setattr(builtins, "open", watched)
    assert sign(folder, released.private) == everything - 1
    monkeypatch.undo()
    assert "README.md" in opened and "model.safetensors" not in opened
    again = signed_digests(folder)
    assert {name for name in first if first[name] != again[name]} == {"README.md"}
    assert first.keys() == again.keys() and signature_problems(folder, released.public)[0] == []


def test_new_weights_are_read(released: Released) -> None:
    folder = released.folder
    (folder / "model-2.safetensors").write_bytes(b"more")
    (folder / "README.md").unlink()
    sign(folder, released.private)
    assert "model-2.safetensors" in signed_digests(folder) and "README.md" not in signed_digests(folder)
    assert signature_problems(folder, released.public)[0] == []


@pytest.mark.parametrize("earlier", ["another key", "damaged"])
def test_a_signature_that_is_not_this_keys_is_not_built_upon(released: Released, tmp_path: Path, earlier: str) -> None:
    folder = released.folder
    if earlier == "another key":
        make_key(tmp_path / "other")
        sign(folder, tmp_path / "other")
    else:
        (folder / "model.sig").write_text("{}")
    assert sign(folder, released.private) == len(listed(folder))
    assert signature_problems(folder, released.public)[0] == []


def test_keys_are_not_overwritten_and_not_readable_by_others(tmp_path: Path) -> None:
    public = make_key(tmp_path / "my.key")
    assert (tmp_path / "my.key").stat().st_mode & 0o077 == 0
    assert b"PRIVATE" not in public.read_bytes()
    for name in ("my.key", "my.key.pub"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match="is there already"):
            make_key(tmp_path / name if name == "my.key" else tmp_path / "my.key")
        assert (tmp_path / name).read_bytes() == before


def test_a_key_of_another_kind_is_refused_in_one_line(released: Released, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    (tmp_path / "ed").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "ed.pub").write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(InputError, match="cannot sign") as raised:
        sign(released.folder, tmp_path / "ed")
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="no public key of an elliptic curve"):
        signature_problems(released.folder, tmp_path / "ed.pub")
