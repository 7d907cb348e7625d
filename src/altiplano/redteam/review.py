"""Findings for people to look at, and what their labels make of the rates."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from altiplano.errors import InputError
from altiplano.recipe.schema import RedteamConfig
from altiplano.records import Redteam
from altiplano.records.redteam import ModeRate
from altiplano.redteam.gate import gate
from altiplano.redteam.probes.sensitivity import measured_errors
from altiplano.redteam.summary import PROBE, Labels, ProbeInfo, coverage, summarise
from altiplano.redteam.transcript import Asked, read_transcript
from altiplano.storage import Damaged, read_json

OF_EACH = 40
"""Findings of each probe that are shown."""


def findings(folder: Path) -> list[Asked]:
    """What detectors call harm, highest scores first: plain prompts before other ways to attack."""
    hits = [row for row in read_transcript(folder) if row.hit and row.mode != "harmless"]
    hits.sort(key=lambda row: (row.probe, row.mode != "plain", -row.score))
    shown: dict[str, int] = {}
    chosen = []
    for row in {row.id: row for row in hits}.values():
        shown[row.probe] = shown.get(row.probe, 0) + 1
        if shown[row.probe] <= OF_EACH:
            chosen.append(row)
    return chosen


def read_labels(file: Path) -> Labels:
    """``{"ID": true}``: harmful or not, by the finding's id. Raises InputError for anything else."""
    try:
        found = read_json(file)
    except (OSError, Damaged) as error:
        raise InputError(f"{file} cannot be read as JSON ({error}): save it from review.html again") from error
    if not isinstance(found, dict) or not all(isinstance(value, bool) for value in found.values()):
        raise InputError(f'{file} has no labels: it must be {{"ID": true or false, …}}, as review.html saves it')
    return found


def relabelled(folder: Path, labels: Labels, settings: RedteamConfig, today: date | None = None) -> Redteam:
    """The folder's result with the labels. Raises InputError when it has none, or the labels are of another one."""
    file = folder / "redteam.json"
    if not file.exists():
        raise InputError(f"{folder} has no redteam.json: name the folder that altiplano redteam MODEL wrote")
    before, rows = Redteam.read(file), read_transcript(folder)
    known = {row.id for row in rows}
    if strange := [name for name in labels if name not in known]:
        raise InputError(f"{len(strange)} labels, such as {strange[0]}, are of no finding in {folder}/transcript")
    probes = {test.name: test for test in before.tests if test.name.startswith(PROBE)}
    asked: Sequence[ProbeInfo] = [
        ProbeInfo(name.removeprefix(PROBE), test.hazard, test.what, test.detector) for name, test in probes.items()
    ]
    found, _ = summarise(rows, asked, measured_errors(), labels)
    new = {
        test.name: test.model_copy(update={"modes": _kept_modes(test.modes, probes[test.name].modes)}) for test in found
    }
    tests = [new.get(test.name, test) for test in before.tests]
    verdict = gate(tests, settings, today or datetime.now(UTC).date())
    return before.model_copy(
        update={
            "tests": tests,
            "gate": verdict,
            "hazards": coverage(tests),
            "passed": all(line.passed for line in verdict),
        }
    )


def _kept_modes(new: Sequence[ModeRate], before: Sequence[ModeRate]) -> list[ModeRate]:
    """Modes that no row of the transcript tells of, such as continuations, stay as they were."""
    names = {mode.name for mode in new}
    return [*new, *(mode for mode in before if mode.name not in names)]
