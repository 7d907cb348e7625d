"""Forged releases are rejected with a line that names the file; honest ones are accepted.

Three kinds of forger: one without the key; one who signs the forgery with the right key; one who also writes every
hash and document anew. What the last one can do without being found is said in docs/design/release.md.
"""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from forgeries import (
    CALIBRATION,
    CHANGES,
    METRICS,
    PERPLEXITY,
    REDTEAM,
    Change,
    flip,
    one_more_step,
    other_rows,
    put,
    remove,
    reseal,
    swap,
    values,
)
from real_release import Released

from altiplano.errors import InputError
from altiplano.release.bundle import OWN_WORDS, write_documents
from altiplano.release.signing import listed, make_key, sign
from altiplano.release.verification.verify import verify


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_breaks_the_signature(released: Released, name: str) -> None:
    change, named = CHANGES[name]
    change(released.folder)
    problems = verify(released.folder, released.public)
    assert problems and any(named in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


@pytest.mark.slow
def test_every_byte_counts(first_release: Released, tmp_path: Path) -> None:
    """In each file in turn one bit is flipped, and the holder of the key signs: never accepted, never a traceback."""
    chance = random.Random(0)
    names = [path.relative_to(first_release.folder).as_posix() for path in listed(first_release.folder)]
    assert len(names) > 40
    for number, name in enumerate(names):
        copy = first_release.copy(tmp_path / str(number))
        size = (copy.folder / name).stat().st_size - (len(OWN_WORDS) if name == "README.md" else 0)
        flip(name, chance.randrange(size))(copy.folder)
        (copy.folder / "model.sig").unlink()
        sign(copy.folder, copy.private)
        problems = verify(copy.folder, copy.public)
        assert problems and all("\n" not in problem for problem in problems), name


SIGNED = [name for name in CHANGES if name != "weights that are a link"]


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_does_not_make_a_forgery_true(released: Released, name: str) -> None:
    """The holder of the key signs what was changed: it contradicts the rest of the folder."""
    change, named = CHANGES[name]
    change(released.folder)
    (released.folder / "model.sig").unlink()  # an incremental signature would give swapped weights away
    sign(released.folder, released.private)
    problems = verify(released.folder, released.public)
    assert problems and any(named in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


@dataclass(frozen=True)
class Thorough:
    """A forgery whose hashes and documents are all written anew, and what gives it away."""

    change: Change
    found: str


THOROUGH = {
    "another learning rate": Thorough(CHANGES["another learning rate"][0], "learning rate 0.5"),
    "one more step": Thorough(one_more_step, "its steps are not 1 to 10"),
    "an edited held-out score": Thorough(CHANGES["an edited held-out score"][0], "bits per byte is not"),
    "more tokens": Thorough(CHANGES["a run of more tokens"][0], "1,000,000,000 tokens, the recipe gives 40,960"),
    "an edited score": Thorough(CHANGES["an edited score"][0], "bits per byte is not what its nll"),
    "a better loss of held-out text": Thorough(
        values(PERPLEXITY, lambda value: [group.update(nll=1.0) for group in value["groups"].values()]), "perplexity"
    ),
    "a document less": Thorough(other_rows, "not the sum of documents.parquet"),
    "an edited benchmark": Thorough(CHANGES["an edited benchmark"][0], "endings: its score is not what"),
    "an edited interval": Thorough(
        values("evidence/evaluate/benchmarks/benchmarks.json", put("tasks", "endings", "score", "low", 0.9)),
        "endings: its interval is not what",
    ),
    "an edited answer": Thorough(CHANGES["an edited answer"][0], "endings: its score is not what"),
    "an answer less": Thorough(CHANGES["an answer less"][0], "answers"),
    "hits left out": Thorough(CHANGES["hits left out"][0], "its rate or interval is not what"),
    "a gate that did not pass": Thorough(
        values(REDTEAM, lambda value: value["gate"][0].update(passed=False)), "is above"
    ),
    "a gate above its limit": Thorough(
        values(REDTEAM, lambda value: value["gate"][0].update(value=0.9)), "said to have passed"
    ),
    "more documents": Thorough(CHANGES["more documents in the audit"][0], "audit.json"),
    "fewer documents of a source": Thorough(CHANGES["fewer documents of a source"][0], "sources.csv: its sums"),
    "another seed": Thorough(CHANGES["another seed"][0], "seed is not what the stage was made by"),
    "a longer run": Thorough(CHANGES["a longer run in the recipe"][0], "batch is not what the stage was made by"),
    "a temperature outside of its interval": Thorough(
        values(CALIBRATION, put("temperature", 9.0)), "outside of its interval"
    ),
    "a better calibration": Thorough(values(CALIBRATION, put("after", "ece", 0.0)), "not what its bins give"),
    "swapped weights": Thorough(swap, "export.json says"),
    "weights that were not trained": Thorough(
        values("export.json", put("trained", "model.safetensors", "0" * 64)), "was not trained"
    ),
    "another shape": Thorough(CHANGES["another shape"][0], "config.json is not what"),
    "less energy": Thorough(CHANGES["less energy"][0], "facts.json: energy_kwh"),
    "a figure of the card": Thorough(CHANGES["an edited score in the card's metadata"][0], "README.md: line"),
    "a stage of another run": Thorough(
        values("evidence/evaluate/manifest.json", put("inputs", "train", "0" * 64)), "made from another train"
    ),
    "metrics left out with their entry": Thorough(remove(METRICS), "metrics.jsonl is missing"),
}


def test_writing_every_hash_anew_is_no_forgery_by_itself(released: Released) -> None:
    reseal(released)
    assert verify(released.folder, released.public) == []


@pytest.mark.parametrize("name", THOROUGH)
def test_who_writes_every_hash_anew_is_found_by_the_figures(released: Released, name: str) -> None:
    forged = THOROUGH[name]
    forged.change(released.folder)
    if not name.startswith(("less energy", "a figure of")):
        write_documents(released.folder)
    reseal(released)
    problems = verify(released.folder, released.public)
    assert any(forged.found in problem for problem in problems), problems


def test_keys(released: Released, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.key")
    (problem,) = verify(released.folder, other)
    assert "is not a signature of other.key.pub" in problem
    with pytest.raises(InputError, match="is a private key"):
        verify(released.folder, released.private)
    with pytest.raises(InputError, match="no such key"):
        verify(released.folder, tmp_path / "none.pub")
    inside = released.folder / "release.key.pub"
    shutil.copyfile(other, inside)
    with pytest.raises(InputError, match="must come from elsewhere"):
        verify(released.folder, inside)
    inside.unlink()
    (tmp_path / "rubbish.pub").write_text("no key")
    with pytest.raises(InputError, match="no public key"):
        verify(released.folder, tmp_path / "rubbish.pub")


def test_signatures_of_others(released: Released, first_release: Released, tmp_path: Path) -> None:
    sign(released.folder, _other(tmp_path))
    (problem,) = verify(released.folder, released.public)  # signed, by somebody else
    assert "not a signature of" in problem
    signature = released.folder / "model.sig"
    for content in (b"", b"{}", b"\xff\x00", signature.read_bytes()[:-200], b'{"dsseEnvelope": 5}'):
        signature.write_bytes(content)
        (problem,) = verify(released.folder, released.public)
        assert "model.sig is not a signature" in problem and "\n" not in problem
    signature.unlink()
    assert verify(released.folder, released.public) == ["model.sig is missing: the release is not signed"]
    whole = first_release.copy(tmp_path / "another", whole=True)
    whole.release(whole.recipe.model_copy(update={"name": "another"}))
    shutil.copyfile(whole.folder / "model.sig", signature)  # the same key's, of another folder
    assert any("README.md is not what was signed" in line for line in verify(released.folder, released.public))


def test_an_incremental_signature_gives_swapped_weights_away(released: Released) -> None:
    """Weights that were signed before are not read again: whoever swaps them in between has the old digest signed."""
    swap(released.folder)
    sign(released.folder, released.private)
    assert verify(released.folder, released.public) == ["model.safetensors is not what was signed (sha256 differs)"]


def _other(folder: Path) -> Path:
    make_key(folder / "others.key")
    return folder / "others.key"
