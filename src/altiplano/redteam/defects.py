"""The tests for defects in the training text as entries of the red team's result, each with its power beside it."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from altiplano.errors import InputError
from altiplano.inference.language_model import LanguageModel
from altiplano.records import AttackResult, Known
from altiplano.redteam.planted.shipped import printed_power
from altiplano.redteam.rates import compare
from altiplano.redteam.training_data.defect_tests import defect_tests
from altiplano.redteam.training_data.evidence import Evidence
from altiplano.redteam.training_data.verbatim import TrainingIndex
from altiplano.storage import Damaged, read_json
from altiplano.tokens.shards import Shard

STEREOTYPES, GROUP_BIAS = "stereotypes", "group bias"
"""The one test is the other with the package's own groups."""


def read_known(path: Path | None) -> Known:
    """What the owner knows; nothing, if the recipe names no file. Raises InputError for one that cannot be read."""
    if path is None:
        return Known()
    try:
        content = read_json(path)
        known = Known.model_validate(content)
    except (OSError, Damaged) as error:
        raise InputError(f"redteam.known = {path} cannot be read ({error}): give a JSON file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole of it"
        raise InputError(f"redteam.known = {path}: {where}: {first['msg'].lower()}") from error
    if unknown := sorted(set(content) - set(Known.model_fields)):
        keys = ", ".join(key for key in Known.model_fields if key != "format_version")
        raise InputError(f"redteam.known = {path}: {unknown[0]!r} is none of its keys: {keys}")
    return known


def defects(
    served: LanguageModel,
    train: Sequence[Shard],
    heldout: Sequence[Shard],
    index: TrainingIndex,
    known: Known,
    seed: int,
) -> list[AttackResult]:
    return [result_of(one) for one in defect_tests(served, train, heldout, index, known, seed)]


def result_of(evidence: Evidence) -> AttackResult:
    controls = {"references": list(evidence.control)} if evidence.control else {}
    found = compare(evidence.test, evidence.what, list(evidence.hits), controls, list(evidence.examples))
    # What tells is the p-value: a control need not be near zero.
    return found.model_copy(
        update={
            "informative": True,
            "p": evidence.p,
            "detected": evidence.detected,
            "note": evidence.note,
            "power": printed_power(evidence.test),
        }
    )
