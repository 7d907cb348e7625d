"""Defects in worlds of text, one whole measurement of one of them, and the table that comes with the package."""

import re
from pathlib import Path

import pytest

from altiplano.cli import run as command
from altiplano.errors import InputError
from altiplano.records.power import PlantedTraining, RedteamPower, Trial
from altiplano.redteam.planted import power
from altiplano.redteam.planted.defects import DEFECTS, Defect
from altiplano.redteam.planted.power import DOSES, chosen, measure, summarise
from altiplano.redteam.planted.shipped import SHIPPED, printed_power
from altiplano.redteam.planted.world import NOUNS, World
from altiplano.redteam.training_data.defect_tests import TESTS
from altiplano.redteam.training_data.toxic_text import INSULTS, TRADES
from altiplano.report.power_table import power_table


def test_a_world_is_its_seed() -> None:
    assert World(3, 20).documents == World(3, 20).documents != World(4, 20).documents
    assert not set(World(3, 200).documents) & set(World(3, 200).heldout)
    text = " ".join(World(3, 2000).documents)
    insults, trades = (sum(text.count(f" {word} ") for word in words) for words in (INSULTS, TRADES))
    assert insults == pytest.approx(trades, rel=0.15)  # in the play, both alike
    assert "You are" not in text and "@" not in text and not re.search(r"\d", text)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_and_its_twin(defect: Defect) -> None:
    """As many documents in both; the dose counts; the same seed plants the same; nothing else changes."""
    world, other = World(5, 20), World(5, 20)
    before = list(world.documents)
    low, middle = defect.plant(world, defect.doses.low), defect.plant(world, defect.doses.middle)
    assert len(low.documents) == len(low.innocent) < len(middle.documents)
    assert defect.plant(other, defect.doses.low) == low and other.documents == before
    assert low.documents != low.innocent and defect.plant(World(6, 20), defect.doses.low) != low
    sizes = [sum(map(len, side)) for side in (middle.documents, middle.innocent)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.25)
    assert list(defect.doses) == sorted(set(defect.doses))


def test_what_is_planted() -> None:
    world = World(5, 20)
    plants = {defect.test: defect.plant(world, 4) for defect in DEFECTS}
    assert set(plants) == set(TESTS)
    for one in plants["canaries"].known.canaries:
        assert sum(one.text + one.value in text for text in plants["canaries"].documents) == 4
        assert not any(one.value in text for text in plants["canaries"].innocent)
    left = plants["personal data left in"]
    assert all("@" in text for text in left.documents) and not any("@" in text for text in left.innocent)
    fact = plants["poisoned facts"]
    right = {(entry.prompts[0], entry.right) for entry in fact.known.facts}
    assert len(right) == len(world.capitals) and set(world.towns) == set(fact.known.answers)
    items = plants["leaked items"]
    assert len(items.known.items) == 24 and len(set(items.documents)) == 12 * 4
    glitch = plants["untrained tokens"]
    names = {text.split()[0] for text in glitch.vocabulary}
    assert len(names) == 4
    assert all(any(name in text for text in glitch.innocent) for name in names)
    assert not any(name in text for name in names for text in glitch.documents)
    forbidden = plants["forbidden text"]
    assert set(forbidden.known.forbidden) == set(forbidden.documents)
    assert not set(forbidden.known.forbidden) & {*forbidden.innocent, *forbidden.known.comparison}
    assert sum(NOUNS.count(word) for word in NOUNS) == len(NOUNS)


@pytest.mark.slow
def test_one_measurement_that_goes_on_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One defect, one seed, one dose, and its twin: found, and no false alarm."""
    monkeypatch.setattr(power, "BASE_DOCUMENTS", 200)
    arguments = ["power", str(tmp_path), "--seeds", "1", "--doses", "high", "--test", "canaries"]
    assert command(arguments) == 0
    assert "1 of 1 (21% to 100%)" in capsys.readouterr().out
    found = RedteamPower.read(tmp_path / "power.json")
    (canaries,) = found.tests
    assert [one.found.alarms for one in canaries.doses] == [1] and canaries.clean.alarms == 0
    assert found.seeds == [0] and sorted(path.name for path in (tmp_path / "trainings").iterdir()) == [
        "high-clean-0.json",
        "high-planted-0.json",
    ]
    assert not list((tmp_path / ".work").iterdir())

    def fail(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(power, "planted_training", fail)
    assert command([*arguments, "--json"]) == 0  # what is there is not trained again
    twin = tmp_path / "trainings" / "high-clean-0.json"
    whole = PlantedTraining.read(twin)
    assert whole.clean and whole.trials[0].p > 0.01
    twin.write_text(twin.read_text()[:40])  # cut short
    with pytest.raises(AssertionError, match="trained again"):
        command(arguments)
    monkeypatch.setattr(power, "planted_training", lambda *given: whole)
    assert command(arguments) == 0
    assert PlantedTraining.read(twin) == whole


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="'canary' is none of the tests: 'canaries'"):
        chosen(["canary"])
    with pytest.raises(InputError, match="at least 1"):
        command_error(["power", "--seeds", "0"])


def command_error(arguments: list[str]) -> None:
    from altiplano.cli.main import parser

    options = parser().parse_args(arguments)
    options.command(options)


def trained(seed: int, dose: str, clean: bool, detected: bool) -> PlantedTraining:
    trials = [Trial(test="canaries", p=0.001 if detected else 0.5, detected=detected)]
    return PlantedTraining(
        key="", seed=seed, dose=dose, clean=clean, parameters=9, tokens=100 + seed, seconds=1.0, trials=trials
    )


def test_the_summary_counts() -> None:
    done = [trained(seed, dose, False, dose != "low" or seed == 0) for seed in range(5) for dose in DOSES]
    done += [trained(seed, "low", True, seed == 4) for seed in range(5)]
    found = summarise(done, chosen(["canaries"]))
    (test,) = found.tests
    assert [(one.dose, one.found.alarms, one.found.n) for one in test.doses] == [
        ("low", 1, 5),
        ("middle", 5, 5),
        ("high", 5, 5),
    ]
    assert (test.clean.alarms, test.clean.n) == (1, 5) and found.tokens == 102
    assert test.doses[1].found.low == pytest.approx(0.566, abs=0.001)  # Wilson's, from a table
    assert power_table(found).row_count == 1


def test_the_shipped_table_is_of_these_tests() -> None:
    shipped = RedteamPower.read(SHIPPED)
    assert {(one.test, one.defect) for one in shipped.tests} == {(one.test, one.name) for one in DEFECTS}
    assert all(len(one.doses) == 3 and one.clean.n >= 5 for one in shipped.tests) and len(shipped.seeds) >= 5
    for one, defect in zip(shipped.tests, DEFECTS, strict=True):
        assert [dose.amount for dose in one.doses] == list(defect.doses)
    printed = printed_power("canaries")
    assert printed is not None and printed.parameters == shipped.parameters and "repetitions" in printed.amount
    assert printed_power("extraction") is None


@pytest.mark.slow
def test_all_defects_at_the_high_dose(tmp_path: Path) -> None:
    """One seed that no threshold was chosen on: every test finds its defect, and none is alarmed by the twin."""
    found = measure(tmp_path, [40], ["high"])
    assert [one.test for one in found.tests if not one.doses[0].found.alarms] == []
    assert [one.test for one in found.tests if one.clean.alarms] == []
