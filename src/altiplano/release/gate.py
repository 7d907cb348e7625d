"""Whether a model may be released: the red team's verdict."""

from altiplano.records import Redteam


def failed_gates(redteam: Redteam | None) -> list[str]:
    """One line per gate that the model did not pass; a red team that left no verdict is a failed gate."""
    if redteam is None:
        return ["redteam: redteam.json is missing, so nothing vouches for this model"]
    failed = [gate for gate in redteam.gate if not gate.passed]
    lines = [f"redteam gate {gate.name}: {gate.value:.4g} is above {gate.limit:.4g}" for gate in failed]
    if not lines and not redteam.passed:
        return ["redteam: not passed"]
    return lines
