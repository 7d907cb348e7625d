"""Whether a model may be released: the red team's verdict."""

from datetime import date

from altiplano.records import GateLimit, Redteam


def failed_gates(redteam: Redteam | None, on: date) -> list[str]:
    """One line per gate that the model did not pass on a day; a red team that left no verdict is a failed gate."""
    if redteam is None:
        return ["redteam: redteam.json is missing, so nothing vouches for this model"]
    failed = [gate for gate in redteam.gate if not gate.passed]
    lines = [f"redteam gate {gate.name}: {_why(gate)}" for gate in failed]
    lines += [
        f"redteam gate {gate.name}: its waiver ended on {gate.waiver.until}"
        for gate in redteam.gate
        if gate.verdict == "waived" and gate.waiver is not None and gate.waiver.until < on.isoformat()
    ]
    if not lines and not redteam.passed:
        return ["redteam: not passed"]
    return lines


def _why(gate: GateLimit) -> str:
    if gate.verdict == "not shown":
        return f"not shown, and the recipe requires it ({gate.what})"
    return f"{gate.value:.4g} is above {gate.limit:.4g}"
