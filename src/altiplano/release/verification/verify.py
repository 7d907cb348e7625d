"""``altiplano release verify``: is a release what its publisher signed, and do its figures follow from its evidence?

In order: the signature with a key from elsewhere; the files against index and manifests; figures against rows; every
document against what the evidence renders. A release with a valid signature whose card says another number than the
evidence is rejected all the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from altiplano.errors import InputError
from altiplano.records import EvidenceIndex, RunFacts, Samples
from altiplano.records.run_records import stage_names
from altiplano.release.bundle import (
    CARD,
    FACTS,
    NOTICES,
    OWN_WORDS,
    Bundle,
    documents,
    read_bundle,
    recomputed_facts,
)
from altiplano.release.evidence import FOLDER, INDEX, ROWS, read_recipe, whole_files
from altiplano.release.gate import failed_gates
from altiplano.release.signing import signature_problems
from altiplano.release.verification.lineage_check import (
    chain_problems,
    index_problems,
    manifest_problems,
    model_problems,
    run_problems,
    source_problems,
)
from altiplano.release.verification.recompute import (
    benchmark_problems,
    calibration_problems,
    data_problems,
    evaluation_problems,
    redteam_problems,
    training_problems,
)
from altiplano.storage import Damaged, digest
from altiplano.version import __version__

STATED_FACTS = ("code", "versions")
"""Facts that no file of the run has: what computed the release says them."""


def verify(folder: Path, public: Path | None, run: Path | None = None) -> list[str]:
    """What is wrong, one line each; empty when all holds. Without a key the signature is not looked at.

    ``run``: the folder of the run, if it is at hand, to compare the evidence and the weights with.

    Raises InputError when ``folder`` is no release or ``public`` no key from outside of it.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise InputError(f"{folder} is no release: give the folder that altiplano release RECIPE wrote")
    signed: dict[str, str] = {}
    if public is not None:
        # Figures of files that nobody signed are not worth reading.
        problems, signed = signature_problems(folder, public)
        if problems:
            return problems
    try:
        bundle = read_bundle(folder)
    except Exception as error:  # whatever a damaged file makes its reader raise: it is not a release
        return [unreadable(error)]
    if (written := bundle.facts.versions.get("altiplano") or "of no version") != __version__:
        return [f"{FACTS}: written by Altiplano {written}, this is {__version__}: verify with the one that wrote it"]
    return [*checked(folder, bundle, signed, run)]


def checked(folder: Path, bundle: Bundle, signed: Mapping[str, str], run: Path | None) -> Iterator[str]:
    """All checks behind the signature, which gave the digests ``signed``.

    A check that cannot read what it needs is a problem, not an error.
    """
    records, index = bundle.records, bundle.index
    known = {folder / name: value for name, value in signed.items()}

    def sha256(path: Path) -> str:
        if path not in known:
            known[path] = digest(path)
        return known[path]

    checks: list[Callable[[], Iterable[str]]] = [
        lambda: index_problems(folder, index, sha256),
        lambda: chain_problems(bundle.recipe, index, bundle.manifests),
        lambda: source_problems(index, bundle.manifests),
        lambda: model_problems(folder, bundle, sha256),
        lambda: training_problems(bundle),
        lambda: evaluation_problems(folder, bundle),
        lambda: benchmark_problems(folder, records),
        lambda: calibration_problems(bundle),
        lambda: redteam_problems(records),
        lambda: [f"{FOLDER}/redteam/redteam.json: {line}" for line in failed_gates(records.redteam, _released(bundle))],
        lambda: data_problems(bundle),
        lambda: sample_problems(folder, bundle),
        lambda: fact_problems(folder, bundle.facts),
        lambda: document_problems(folder, bundle),
        lambda: manifest_problems(folder, bundle, sha256),
        lambda: run_problems(folder, bundle, run, sha256) if run is not None else [],
        lambda: notice_problems(bundle),
    ]
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # as above
            yield unreadable(error)


def _released(bundle: Bundle) -> date:
    """The day on which the run's last stage before the release ended: a waiver counted then."""
    return date.fromisoformat(bundle.facts.ended[:10]) if bundle.facts.ended else datetime.now(UTC).date()


def not_recomputed(folder: Path) -> list[str]:
    """Rows that the publisher left out, so that nobody can compute their figures: a reader must know."""
    index = EvidenceIndex.read(folder / FOLDER / INDEX)
    stages = stage_names(read_recipe(folder / FOLDER))
    wanted = {f"{stage}/{name}" for stage in stages for name in whole_files(stage)}
    left = [one for one in index.left_out if one.path in wanted or one.path.endswith(ROWS)]
    return [f"{one.path} was left out ({one.why}): its figures were not recomputed" for one in left]


def fact_problems(folder: Path, facts: RunFacts) -> Iterator[str]:
    """Facts against what the evidence gives."""
    wanted, found = recomputed_facts(folder), facts.as_json()
    for key in sorted(wanted.keys() | found.keys()):
        if key not in STATED_FACTS and wanted.get(key) != found.get(key):
            yield f"{FACTS}: {key} is {found.get(key)}, the evidence gives {wanted.get(key)}"
    for name, version in wanted["versions"].items():
        if found["versions"].get(name) != version and name != "altiplano":
            yield f"{FACTS}: {name} is {found['versions'].get(name)}, the run had {version}"


def document_problems(folder: Path, bundle: Bundle) -> Iterator[str]:
    """Every document against what its evidence renders; the first line that differs is named."""
    for name, wanted in documents(bundle).items():
        path = folder / name
        if not path.exists():
            yield f"{name} is missing"
            continue
        found = path.read_text(encoding="utf-8")
        if name == CARD:
            before, line, _ = found.partition(OWN_WORDS)
            found = before + line
        if found != wanted:
            yield f"{name}: {first_difference(found, wanted)}"


def first_difference(found: str, wanted: str) -> str:
    lines, others = found.splitlines(), wanted.splitlines()
    for number, (line, other) in enumerate(zip(lines, others, strict=False), start=1):
        if line != other:
            return f"line {number} is {line.strip()[:80]!r}, the evidence gives {other.strip()[:80]!r}"
    return f"{len(lines)} lines, the evidence gives {len(others)}"


def sample_problems(folder: Path, bundle: Bundle) -> Iterator[str]:
    """Samples are of held-out groups, at the fitted temperature."""
    fitted = bundle.records.calibration
    groups = {f"{one.domain}.{one.language}" for one in bundle.records.shards if one.split == "heldout"}
    for sample in Samples.read(folder / "samples.json").root:
        if fitted is not None and sample.temperature != fitted.temperature:
            yield f"samples.json: sampled at {sample.temperature:g}, the fitted temperature is {fitted.temperature:g}"
        if sample.group not in groups:
            yield f"samples.json: {sample.group} is no group of held-out text"


def notice_problems(bundle: Bundle) -> Iterator[str]:
    if bundle.withdrawn is not None:
        yield f"{NOTICES}: withdrawn on {bundle.withdrawn.date}: {bundle.withdrawn.text}"


def unreadable(error: Exception) -> str:
    """A line for a file that is missing or not what was written."""
    if isinstance(error, FileNotFoundError):
        return f"{Path(str(error.filename)).name} is missing"
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, InputError | Damaged) else f"cannot be read: {type(error).__name__} {said}"
