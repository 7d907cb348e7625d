"""Power of the red team: defects planted into small trainings, their clean twins, and every test on each.

All defects stand in one training, at one dose: each has its own words, so that none hides another. A clean twin has the
base text of its seed, with as many innocent documents as the middle dose has with defects. One result file a training:
after a kill the same command goes on with the next.
"""

import shutil
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from altiplano.errors import InputError
from altiplano.evaluation.statistics import wilson
from altiplano.progress import track
from altiplano.records.known import Known
from altiplano.records.power import Dose, DosePower, PlantedTraining, PowerOfTest, RedteamPower, Share, Trial
from altiplano.redteam.planted.defects import DEFECTS, Defect
from altiplano.redteam.planted.trainings import EPOCHS, SETTINGS, train_small
from altiplano.redteam.planted.world import World
from altiplano.redteam.training_data.corpus_sample import training_tokens
from altiplano.redteam.training_data.defect_tests import defect_tests
from altiplano.redteam.training_data.evidence import LEVEL
from altiplano.redteam.training_data.verbatim import TrainingIndex
from altiplano.storage import ABSENT, Damaged, json_digest, remove_tree
from altiplano.version import __version__

DOSES: tuple[Dose, ...] = ("low", "middle", "high")
BASE_DOCUMENTS = 1500


def measure(
    folder: Path,
    seeds: Sequence[int],
    doses: Sequence[Dose] = DOSES,
    tests: Sequence[str] = (),
    twins: Sequence[int] | None = None,
) -> RedteamPower:
    """Train what has no result in ``folder`` yet, and write ``power.json`` there. ``tests``: those, and their defects,
    alone. ``twins``: seeds of clean twins (default: ``seeds``). Raises InputError for a test that does not exist."""
    defects = chosen(tests)
    twin: Dose = "middle" if "middle" in doses else doses[-1]
    jobs = [(seed, dose, False) for seed in seeds for dose in doses]
    jobs += [(seed, twin, True) for seed in (seeds if twins is None else twins)]
    done = [
        _trained(folder, defects, seed, dose, clean) for seed, dose, clean in track(jobs, "small trainings", len(jobs))
    ]
    found = summarise(done, defects)
    found.write(folder / "power.json")
    return found


def chosen(tests: Sequence[str]) -> list[Defect]:
    """The defects that ``tests`` are to find; all, if none is named."""
    names = [defect.test for defect in DEFECTS]
    for test in tests:
        if test not in names:
            raise InputError(f"--test {test!r} is none of the tests: {', '.join(map(repr, names))}")
    return [defect for defect in DEFECTS if not tests or defect.test in tests]


def _trained(folder: Path, defects: Sequence[Defect], seed: int, dose: Dose, clean: bool) -> PlantedTraining:
    name = f"{dose}-{'clean' if clean else 'planted'}-{seed}"
    key = json_digest([__version__, SETTINGS, EPOCHS, LEVEL, BASE_DOCUMENTS, [[d.name, d.doses] for d in defects]])
    file = folder / "trainings" / f"{name}.json"
    try:
        before = PlantedTraining.read(file)
        if before.key == key:
            return before
    except (*ABSENT, Damaged):
        pass  # not there yet, or cut short: computed (again)
    work = folder / ".work" / name
    remove_tree(work)
    work.mkdir(parents=True)
    found = planted_training(work, defects, seed, dose, clean, key)
    file.parent.mkdir(parents=True, exist_ok=True)
    found.write(file)
    shutil.rmtree(work)
    return found


def planted_training(
    work: Path, defects: Sequence[Defect], seed: int, dose: Dose, clean: bool, key: str = ""
) -> PlantedTraining:
    """Plant, train in the folder ``work``, and test. On one thread, so that the same seed gives the same result."""
    begun, threads = time.monotonic(), torch.get_num_threads()
    world = World(seed, BASE_DOCUMENTS)
    plants = [defect.plant(world, defect.doses.amount(dose)) for defect in defects]
    documents = [*world.documents, *(text for one in plants for text in (one.innocent if clean else one.documents))]
    order = world.random("order").permutation(len(documents))
    known = Known(
        **{name: [entry for one in plants for entry in getattr(one.known, name)] for name in Known.model_fields
           if name != "format_version"}
    )  # fmt: skip
    torch.set_num_threads(1)
    try:
        vocabulary = [text for one in plants for text in one.vocabulary]
        trained = train_small(work, [documents[at] for at in order], world.heldout, seed, vocabulary)
        index = TrainingIndex(training_tokens(trained.train, seed))
        tests = [defect.test for defect in defects]
        evidence = defect_tests(trained.served, trained.train, trained.heldout, index, known, seed, tests)
    finally:
        torch.set_num_threads(threads)
    return PlantedTraining(
        key=key,
        seed=seed,
        dose=dose,
        clean=clean,
        parameters=sum(weights.numel() for weights in trained.served.model.parameters()),
        tokens=sum(shard.tokens for shard in trained.train),
        seconds=round(time.monotonic() - begun, 1),
        trials=[Trial(test=one.test, p=one.p, detected=one.detected, note=one.note) for one in evidence],
    )


def summarise(done: Sequence[PlantedTraining], defects: Sequence[Defect] = DEFECTS) -> RedteamPower:
    doses = [dose for dose in DOSES if any(one.dose == dose for one in done)]
    return RedteamPower(
        date=datetime.now(UTC).date().isoformat(),
        parameters=done[0].parameters,
        tokens=round(sum(one.tokens for one in done) / len(done)),
        epochs=EPOCHS,
        level=LEVEL,
        seeds=sorted({one.seed for one in done if not one.clean}),
        tests=[
            PowerOfTest(
                test=defect.test,
                defect=defect.name,
                unit=defect.unit,
                doses=[
                    DosePower(
                        dose=dose,
                        amount=defect.doses.amount(dose),
                        found=_share((one for one in done if one.dose == dose and not one.clean), defect.test),
                    )
                    for dose in doses
                ],
                clean=_share((one for one in done if one.clean), defect.test),
            )
            for defect in defects
        ],
    )


def _share(of: Iterable[PlantedTraining], test: str) -> Share:
    trials = [trial.detected for one in of for trial in one.trials if trial.test == test]
    low, high = wilson(sum(trials) / max(1, len(trials)), len(trials))
    return Share(n=len(trials), alarms=sum(trials), low=low, high=high)
