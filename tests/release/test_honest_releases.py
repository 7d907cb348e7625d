"""Honest releases are accepted: copied, edited where one may, signed again, downloaded, of other settings.

Withdrawn ones say so.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forgeries import CHANGES, METRICS, line, put, reseal, swap, values
from real_release import Released

from altiplano.errors import InputError
from altiplano.records import EvidenceIndex
from altiplano.release.bundle import write_documents
from altiplano.release.notices import add_notice
from altiplano.release.signing import sign
from altiplano.release.verification.verify import not_recomputed, verify
from altiplano.storage import digest


def as_published(released: Released) -> None:
    pass


def renamed(released: Released) -> None:
    released.folder.rename(released.workspace / "moved")
    (released.workspace / "release").symlink_to(released.workspace / "moved")


def signed_again(released: Released) -> None:
    sign(released.folder, released.private)


def signed_from_the_start(released: Released) -> None:
    (released.folder / "model.sig").unlink()
    sign(released.folder, released.private)


def own_words(released: Released) -> None:
    with (released.folder / "README.md").open("a") as card:
        card.write("\n## Notes\n\nThanks to everybody: 1.0000 bits of thanks.\n")
    sign(released.folder, released.private)


def own_words_and_erratum(released: Released) -> None:
    own_words(released)
    add_notice(released.folder, "erratum", "The licence of a source | was wrong.\n\nIt is CC-BY-4.0.")
    sign(released.folder, released.private)
    assert "Thanks to everybody" in (released.folder / "README.md").read_text()


def two_errata(released: Released) -> None:
    for _ in range(2):
        add_notice(released.folder, "erratum", "A word was misspelt.")
        sign(released.folder, released.private)


def from_a_hub(released: Released) -> None:
    (released.folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (released.folder / ".cache" / "huggingface" / "download").mkdir(parents=True)
    (released.folder / ".cache" / "huggingface" / "download" / "README.md.metadata").write_text("x")


def in_git(released: Released) -> None:
    (released.folder / ".git" / "objects").mkdir(parents=True)
    (released.folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")


def other_times(released: Released) -> None:
    for path in released.folder.rglob("*"):
        os.utime(path, (0, 0))


def read_only(released: Released) -> None:
    for path in released.folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)


def empty_folder(released: Released) -> None:
    (released.folder / "empty").mkdir()


def documents_again(released: Released) -> None:
    write_documents(released.folder)


IN_A_FOLDER = (
    as_published, renamed, signed_again, signed_from_the_start, own_words, own_words_and_erratum, two_errata,
    from_a_hub, in_git, other_times, read_only, empty_folder, documents_again, reseal,
)  # fmt: skip


@pytest.mark.parametrize("honest", IN_A_FOLDER, ids=lambda one: one.__name__)
def test_honest_releases_are_accepted(released: Released, honest: Callable[[Released], None]) -> None:
    honest(released)
    assert verify(released.folder, released.public) == []
    assert verify(released.folder, None) == []


SETTINGS: dict[str, dict[str, Any]] = {
    "again": {},
    "float32": {"dtype": "float32"},
    "as trained": {"dtype": "as-trained"},
    "nothing stated": {"sources": (), "provider": "", "contact": "", "code_of_practice": None},
    "a small provider": {"small_provider": True, "crawlers": "ExampleBot | respects robots.txt"},
    "odd words": {"provider": 'Größe & "Söhne" <x> 山', "rights_reservation": "{{ 7 * 7 }} {% raw %}"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_honest_releases_of_other_settings_are_accepted(first_release: Released, tmp_path: Path, name: str) -> None:
    whole = first_release.copy(tmp_path, whole=True)
    recipe = whole.recipe
    stated = recipe.release.model_copy(update=SETTINGS[name])
    whole.release(recipe.model_copy(update={"release": stated}))
    assert verify(whole.folder, whole.public) == []


def test_other_curves_and_paths(first_release: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    copy = first_release.copy(tmp_path)
    monkeypatch.chdir(copy.workspace)
    for curve in (ec.SECP384R1(), ec.SECP521R1()):
        key = ec.generate_private_key(curve)
        pem, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        Path("k").write_bytes(secret)
        Path("k.pub").write_bytes(key.public_key().public_bytes(pem, kind))
        sign(Path("release"), Path("k"))
        assert verify(Path("release"), Path("k.pub")) == []


def test_the_librarys_own_command_accepts_it(released: Released) -> None:
    folder = released.folder
    """Also of a folder that came from a hub."""
    from_a_hub(released)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    command += ["--signature", str(folder / "model.sig"), "--public_key", str(released.public)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_with_the_run_at_hand(first_release: Released, tmp_path: Path) -> None:
    """Weights with a manifest, an export record and a signature of their own are still not those of the run."""
    run = first_release.workspace
    assert verify(first_release.folder, first_release.public, run) == []
    copy = first_release.copy(tmp_path)
    swap(copy.folder)
    values("export.json", put("released", "model.safetensors", digest(copy.folder / "model.safetensors")))(copy.folder)
    line(METRICS, 4, put("loss", 1.0))(copy.folder)
    write_documents(copy.folder)
    reseal(copy)
    assert verify(copy.folder, copy.public) == []  # nothing in the folder contradicts it
    problems = verify(copy.folder, copy.public, run)
    assert len(problems) == 2 and any("is not what was trained" in one for one in problems), problems
    assert any("metrics.jsonl is not" in one for one in problems)
    assert verify(copy.folder, copy.public, tmp_path / "nowhere")


def test_a_withdrawn_release_says_so_and_has_no_weights(released: Released) -> None:
    add_notice(released.folder, "withdrawn", "It repeats an address.")
    sign(released.folder, released.private)
    (problem,) = verify(released.folder, released.public)
    assert problem.startswith("notices.json: withdrawn on") and problem.endswith("It repeats an address.")
    assert not [*released.folder.glob("*.safetensors*")]
    assert "> **Withdrawn, " in (released.folder / "README.md").read_text()
    with pytest.raises(InputError, match="was withdrawn on"):
        add_notice(released.folder, "erratum", "More.")


def test_rows_that_are_too_large_are_left_out_and_listed(
    first_release: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = first_release.copy(tmp_path, whole=True)
    monkeypatch.setattr("altiplano.release.evidence.LARGEST", 100)
    whole.release()
    listed = {one.path: one.why for one in EvidenceIndex.read(whole.folder / "evidence" / "index.json").left_out}
    for name in ("train/metrics.jsonl", "evaluate/documents.parquet", "train/ledger.jsonl"):
        assert listed[name] == "larger than 100 B" and not (whole.folder / "evidence" / name).exists()
    assert verify(whole.folder, whole.public) == []
    assert len(not_recomputed(whole.folder)) >= 3


def test_a_notice_needs_a_reason(released: Released) -> None:
    with pytest.raises(InputError, match="say why"):
        add_notice(released.folder, "erratum", "  ")


def test_enough_of_both() -> None:
    assert len(CHANGES) >= 50 and len(IN_A_FOLDER) + len(SETTINGS) >= 20
