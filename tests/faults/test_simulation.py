"""A few of the campaigns and planted bugs of ``make simulate``."""

import pytest

from faults.simulation.bugs import BUGS
from faults.simulation.simulate import campaigns


def test_campaigns_end_well_and_are_replayed_by_their_seed() -> None:
    outcomes = {outcome.seed: outcome for outcome in campaigns([1, 2, 3])}
    assert [outcome.violation for outcome in outcomes.values()] == ["", "", ""]
    assert all(outcome.faults for outcome in outcomes.values())
    (again,) = campaigns([2])
    assert again == outcomes[2]


@pytest.mark.parametrize(
    ("bug", "seed"),
    [
        ("nothing is synced", 0),
        ("records are not on the disk before a checkpoint", 1),
        ("a checkpoint before the record of its step", 0),
        ("the lock is not taken", 1),
        ("skips are not written", 1),
    ],
)
def test_a_planted_bug_is_found(bug: str, seed: int) -> None:
    (outcome,) = campaigns([seed], next(one for one in BUGS if one.name == bug))
    assert outcome.violation
